package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newTokenInspect(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:   "inspect [TOKEN|-]",
		Short: "Show what a token says, and whether the service would take it",
		Long: "Show what a token says. The argument may be the token, a reference to it, or\n" +
			"- for stdin; without one, --token or PUBSUBCTL_TOKEN is used. The signature is\n" +
			"checked if the context's key is the one that made it. Nothing is sent anywhere.",
		Example: "  pubsubctl token inspect \"$TOKEN\"\n" +
			"  pubsubctl token mint --read chat | pubsubctl token inspect -\n" +
			"  pubsubctl token inspect --json env:TOKEN",
		Args:              argsRange(0, 1),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("token verify, help tokens", "validity, topics, times and all claims"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := d.inspectToken(c, args, d.now(), true)
			if err != nil {
				return err
			}
			if d.io.JSON {
				return d.output().Write(c.Context(), r)
			}
			return d.printReport(r)
		},
	}
	defineKeyFlags(c)
	return c
}

// tokenArgument finds the token a command is about.
func (d deps) tokenArgument(c *cobra.Command, s *config.Settings, args []string) (string, error) {
	text := s.Token.Text
	if len(args) == 1 {
		text = args[0]
	}
	none := ui.Problemf(ui.UsageMissingInput, "no token given").
		Because("there is no argument, no --token, no PUBSUBCTL_TOKEN, and stdin holds nothing").
		Try(c.CommandPath() + " TOKEN")
	named := text != ""
	switch {
	case !named && !d.io.InData:
		return "", none
	case !named:
		text = "-"
	}
	secret, err := config.ParseRef(text).Resolve(c.Context(), d.lookup())
	if conf, ok := errors.AsType[*config.Error](err); ok && !named && conf.Reason == config.SecretMissing {
		return "", none.From(err)
	}
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	tok := strings.TrimSpace(secret.Reveal())
	tok = strings.TrimPrefix(tok, "Authorization: ")
	return strings.TrimPrefix(tok, "Bearer "), nil
}

// inspectToken takes the given token apart. If foreign is set, a token of a key
// that is not ours is described without a judgement of its signature.
func (d deps) inspectToken(c *cobra.Command, args []string, now time.Time, foreign bool) (token.Report, error) {
	s, err := d.settings(c)
	if err != nil {
		return token.Report{}, err
	}
	tok, err := d.tokenArgument(c, s, args)
	if err != nil {
		return token.Report{}, err
	}
	var keys token.KeySource
	if s.KeyID.IsSet() || !foreign {
		id, secret, err := d.signingKey(c.Context(), s)
		if err != nil {
			return token.Report{}, err
		}
		keys = token.Keys{id: []byte(secret)}
	}
	r, err := token.Inspect(c.Context(), tok, keys, now)
	if err == nil && foreign && keys != nil && r.KeyID != s.KeyID.Text {
		r, err = token.Inspect(c.Context(), tok, nil, now)
	}
	if err != nil {
		return r, notUsable(err)
	}
	return r, nil
}

func notUsable(err error) error {
	p := ui.Problem{Code: ui.AuthNotUsable, Err: errors.New("this is not a token"), Chain: err, Next: "pubsubctl token mint --read chat"}
	if e, ok := errors.AsType[*token.Error](err); ok {
		p.Why = e.Detail
	}
	return p
}

// printReport writes the report for people: one fact per line, then the claims.
func (d deps) printReport(r token.Report) error {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-16s%s\n", name, d.io.Shown(fmt.Sprintf(format, args...)))
	}
	if r.Valid {
		row("valid", "yes")
	} else {
		row("valid", "no: %s", r.Reason)
	}
	row("key", "%s (%s, signature %s)", r.KeyID, r.Algorithm, r.Signature)
	if r.Subject != "" {
		row("subject", "%s", r.Subject)
	}
	row("may read", "%s", topicList(r.Read))
	row("may write", "%s", topicList(r.Write))
	if r.ExpiresAt.IsZero() {
		row("expires", "never")
	} else {
		row("expires", "%s", ui.FormatTime(r.ExpiresAt))
		row("accepted until", "%s", ui.FormatTime(r.AcceptedUntil))
	}
	if r.Warning != "" {
		d.io.Warn("the token %s", r.Warning)
	}
	claims, err := json.MarshalIndent(r.Claims, "", "  ")
	if err != nil {
		return fmt.Errorf("format claims: %w", err)
	}
	fmt.Fprintf(&b, "claims          %s\n", strings.ReplaceAll(string(claims), "\n", "\n                "))
	_, err = io.WriteString(d.io.Out, b.String())
	return err
}

func topicList(topics []string) string {
	if len(topics) == 0 {
		return "nothing"
	}
	return shownTopics(topics)
}

type verifyOptions struct {
	read, write []string
	asOf        ui.When
}

func newTokenVerify(d deps) *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify [TOKEN|-]",
		Short: "Say whether a token is good, and good for certain topics",
		Long: "Check a token as the service would, with the context's key: exit 0 for yes, 8 for\n" +
			"no with the reason, 4 if it is no token at all. Nothing is sent anywhere.",
		Example: "  pubsubctl token verify \"$TOKEN\" --read chat\n" +
			"  pubsubctl token verify env:TOKEN --write chat --as-of +1h",
		Args:              argsRange(0, 1),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("token inspect, help tokens", "the verdict with its reason"),
		RunE: func(c *cobra.Command, args []string) error {
			now := d.now()
			if o.asOf.IsSet() {
				now = o.asOf.At(now)
			}
			r, err := d.inspectToken(c, args, now, false)
			if err != nil {
				return err
			}
			return d.printVerdict(c, o, r)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.read, "read", nil, "must allow subscribing to this `TOPIC`; repeat for more")
	f.StringArrayVar(&o.write, "write", nil, "must allow publishing to this `TOPIC`; repeat for more")
	f.Var(&o.asOf, "as-of", "check as at this moment, such as 2027-01-01T00:00:00Z or +1h")
	f.SortFlags = false
	defineKeyFlags(c)
	return c
}

// no is why the token does not do, with the command that makes one that does;
// empty if it does.
func (o verifyOptions) no(r token.Report) (why, next string) {
	mint := "pubsubctl token mint"
	for _, t := range o.read {
		mint += " --read " + pasteWord(t)
	}
	for _, t := range o.write {
		mint += " --write " + pasteWord(t)
	}
	if len(o.read)+len(o.write) == 0 {
		mint += " --read chat"
	}
	if !r.Valid {
		return r.Reason, mint
	}
	for _, t := range o.read {
		if !slices.Contains(r.Read, t) {
			return "it does not grant reading " + quote(t) + "; it grants reading: " + topicList(r.Read), mint
		}
	}
	for _, t := range o.write {
		if !slices.Contains(r.Write, t) {
			return "it does not grant writing " + quote(t) + "; it grants writing: " + topicList(r.Write), mint
		}
	}
	return "", ""
}

func (d deps) printVerdict(c *cobra.Command, o verifyOptions, r token.Report) error {
	why, next := o.no(r)
	if d.io.JSON {
		verdict := struct {
			OK     bool   `json:"ok"`
			Reason string `json:"reason,omitempty"`
			token.Report
		}{why == "", why, r}
		if err := d.output().Write(c.Context(), verdict); err != nil || why == "" {
			return err
		}
		return ui.ExitNo
	}
	if why != "" {
		return ui.Problemf(ui.AuthVerifiedNo, "the answer is no").Because(why).Try(next)
	}
	_, err := io.WriteString(d.io.Out, "yes\n")
	return err
}

// pasteWord quotes text for a shell only where it must be.
func pasteWord(text string) string {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/:@%+=,", r))
	}
	if text == "" || strings.ContainsFunc(text, odd) {
		return quoteShell(text)
	}
	return text
}
