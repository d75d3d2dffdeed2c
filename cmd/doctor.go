package cmd

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

type doctorOptions struct {
	checks []string // names; empty is all
	deep   bool
}

func newDoctor(d deps) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor [CHECK...]",
		Short: "Find out what is wrong with a service, and why",
		Long: "Look at a service from outside and, with an API token, through the platform's\n" +
			"API, and say what is wrong, why, and which command repairs it. A fault shows in\n" +
			"one check; those that only suffer from it are skipped. A relay on this machine is\n" +
			"looked at in the same way, from outside.\n\n" +
			"Messages are published to a topic of their own that nobody follows. Nothing is\n" +
			"stored unless --deep is given. It exits 0 if nothing failed and 8 otherwise.\n\n" +
			"Checks: " + strings.Join(wrapWords(provision.Checks(), 70), "\n  ") + ".",
		Example: "  pubsubctl doctor\n" +
			"  pubsubctl doctor fanout publish-token\n" +
			"  pubsubctl doctor --json --jq '.checks[].fix // empty'",
		Args:        checkNames,
		Annotations: notes("status, setup, help exit-codes", jsonObject),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return provision.Checks(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			for _, a := range args {
				name, _ := provision.CheckNamed(a)
				o.checks = append(o.checks, name)
			}
			return runDoctor(c, d, o)
		},
	}
	c.Flags().BoolVar(&o.deep, "deep", false, "also store a message, read it back and clear it")
	defineAPIFlags(c)
	defineKeyFlags(c)
	return c
}

// wrapWords joins words with commas into lines of at most width columns.
func wrapWords(words []string, width int) []string {
	var lines []string
	line := ""
	for i, w := range words {
		if i < len(words)-1 {
			w += ","
		}
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+w, " ")
	}
	return append(lines, line)
}

// checkNames refuses checks that do not exist.
func checkNames(c *cobra.Command, args []string) error {
	for _, a := range args {
		if _, found := provision.CheckNamed(a); !found {
			p := usage(c, ui.UsageBadArgument, "there is no check "+quote(a))
			if near := closest(a, provision.Checks()); near != "" {
				p = p.Because("did you mean " + near + "?")
			}
			return p
		}
	}
	return nil
}

func runDoctor(c *cobra.Command, d deps, o doctorOptions) error {
	a, err := d.sighted(c.Context(), c)
	if err != nil {
		return err
	}
	defer a.http.CloseIdleConnections()
	sight, err := d.examine(c.Context(), a, o)
	if err != nil {
		return err
	}
	if err := context.Cause(c.Context()); err != nil {
		return err
	}
	found := provision.Diagnose(sight)
	if len(o.checks) > 0 {
		found = slices.DeleteFunc(found, func(f provision.Finding) bool { return !slices.Contains(o.checks, f.Name) })
	}
	return d.reportDiagnosis(c, found)
}

// examine looks at everything that the wanted checks need.
func (d deps) examine(ctx context.Context, a account, o doctorOptions) (provision.Sighting, error) {
	s := a.settings
	sight := provision.Sighting{Fix: a.aim, Blind: a.blind()}
	if u, err := url.Parse(s.URL.Text); err == nil && !config.OnLoopback(s.URL.Text) {
		sight.Domain = strings.ToLower(u.Hostname())
	}
	if !hosted(s) && config.OnLoopback(s.URL.Text) {
		sight.Restart = relayAt(s.URL.Text)
	}
	look := provision.Look{
		URL: s.URL.Text, HTTP: a.http, UserAgent: userAgent(), Log: d.log, Timeout: d.flags.requestTimeout.D(), Now: d.now, Deep: o.deep,
		Want: wanted(o.checks),
	}
	if a.api != nil {
		sight.Platform = provision.Inspect(ctx, a.api, provision.Inspection{
			Endpoint: a.endpoint, TokenFrom: s.APIToken.Origin.String(), Service: s.ServiceID.Text, Ledger: a.ledger,
		})
		sight.Platform.Door = look.Door(ctx, a.endpoint)
	}
	var err error
	if look.Sign, look.KeyID, err = d.probeToken(ctx, s); err != nil {
		return sight, err
	}
	var domains []string
	if sight.Platform != nil {
		domains = sight.Platform.Domains
	}
	if look.FastlyKey, err = a.appKey(ctx, d, domains); err != nil {
		return sight, err
	}
	sight.App = provision.Watch(ctx, look)
	sight.Now = d.now()
	return sight, nil
}

// wanted tells which checks have to be made; nil is all of them.
func wanted(names []string) func(string) bool {
	if len(names) == 0 {
		return nil
	}
	needed := provision.Required(names)
	return func(name string) bool { return slices.Contains(needed, name) }
}

// blind is why the platform's API is not asked.
func (a account) blind() string {
	s := a.settings
	switch {
	case a.tokenless != "":
		return a.tokenless + ", so only what shows from outside"
	case !hosted(s) && config.OnLoopback(s.URL.Text):
		return "a relay has no platform API"
	case !s.ServiceID.IsSet():
		return "no service id is known"
	}
	return "no API token is known, so only what shows from outside"
}

// probeToken signs tokens for one topic each, or presents the one given. A
// context without either is not an error: the checks say so.
func (d deps) probeToken(ctx context.Context, s *config.Settings) (sign func(string) (string, error), keyID string, err error) {
	if s.UseToken() {
		tok, err := d.secret(ctx, s.Token.Ref())
		return func(string) (string, error) { return tok, nil }, "", err
	}
	if !s.KeyID.IsSet() {
		return nil, "", nil
	}
	id, secret, err := d.signingKey(ctx, s)
	if err != nil {
		return nil, "", err
	}
	return func(topic string) (string, error) {
		return token.Mint(token.MintOptions{KeyID: id, Secret: []byte(secret),
			Read: []string{topic}, Write: []string{topic}, Expires: d.now().Add(mintedFor)})
	}, id, nil
}

// diagnosisJSON is what --json prints.
type diagnosisJSON struct {
	Checks []findingJSON `json:"checks"`
	OK     int           `json:"ok"`
	Failed int           `json:"failed"`
}

type findingJSON struct {
	Name   string           `json:"name"`
	Status provision.Status `json:"status"`
	Detail string           `json:"detail"`
	Why    string           `json:"why,omitempty"`
	Fix    string           `json:"fix,omitempty"`
}

// reportDiagnosis prints what was found; the exit status is the verdict.
func (d deps) reportDiagnosis(c *cobra.Command, found []provision.Finding) error {
	out := diagnosisJSON{Checks: []findingJSON{}}
	for _, f := range found {
		switch f.Status {
		case provision.StatusOK:
			out.OK++
		case provision.StatusFail:
			out.Failed++
		}
		known := d.io.Secrets
		out.Checks = append(out.Checks, findingJSON{f.Name, f.Status, known.Redact(f.Detail), known.Redact(f.Why), f.Fix})
	}
	var err error
	if d.flags.json {
		err = d.output().Write(c.Context(), out)
	} else {
		_, err = io.WriteString(d.io.Out, d.diagnosisText(out))
	}
	if err == nil && out.Failed > 0 {
		err = ui.ExitNo
	}
	return err
}

// diagnosisText is the report for people. Neighbours that are skipped for the
// same reason share a line; JSON names them.
func (d deps) diagnosisText(out diagnosisJSON) string {
	var b strings.Builder
	skipped := 0
	for i := 0; i < len(out.Checks); i++ {
		f := out.Checks[i]
		names := f.Name
		for f.Status == provision.StatusSkip && i+1 < len(out.Checks) && out.Checks[i+1].Status == f.Status && out.Checks[i+1].Detail == f.Detail {
			i++
			names += ", " + out.Checks[i].Name
			skipped++
		}
		if f.Status == provision.StatusSkip {
			skipped++
		}
		if n := strings.Count(names, ","); n > 0 {
			names = fmt.Sprintf("%d checks", n+1)
		}
		d.findingText(&b, f, names)
	}
	fmt.Fprintf(&b, "%d ok, %d failed, %d skipped\n", out.OK, out.Failed, skipped)
	return b.String()
}

// findingText is one finding with what to do about it.
func (d deps) findingText(b *strings.Builder, f findingJSON, names string) {
	mark := map[provision.Status]ui.Mark{provision.StatusOK: ui.MarkOK, provision.StatusSkip: ui.MarkSkip,
		provision.StatusWarn: ui.MarkWarn, provision.StatusFail: ui.MarkFail}[f.Status]
	word := mark.Text(d.io.Glyphs && d.io.OutTTY)
	pad := strings.Repeat(" ", max(1, 6-ui.Columns(word)))
	fmt.Fprintf(b, "%s%s%-14s %s\n", mark.Style().Paint(d.io.OutColor, word), pad, names, ui.Escape(f.Detail))
	if f.Why != "" {
		fmt.Fprintf(b, "%21swhy:  %s\n", "", ui.Escape(f.Why))
	}
	if f.Fix != "" {
		fmt.Fprintf(b, "%21sfix:  %s\n", "", ui.Escape(f.Fix))
	}
}
