package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newStatus(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show a service on one screen",
		Long: "Show what a context leads to: whether the app answers and, with an API token,\n" +
			"what its service is made of and what setup would change. A relay on this\n" +
			"machine, and a service without an API token, are looked at from outside.\n\n" +
			"Nothing is sent through the service and nothing is changed; doctor looks further.",
		Example: "  pubsubctl status\n" +
			"  pubsubctl status -c chat --json --jq .service.version",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("doctor, setup, context show", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			return runStatus(c, d)
		},
	}
	defineAPIFlags(c)
	return c
}

// statusJSON is what --json prints.
type statusJSON struct {
	Context string `json:"context"`
	KeyID   string `json:"key_id,omitempty"`
	// Platform is why the service was not looked at.
	Platform string `json:"not_looked_at,omitempty"`
	provision.Summary
}

func runStatus(c *cobra.Command, d deps) error {
	a, err := d.sighted(c.Context(), c)
	if err != nil {
		return err
	}
	defer a.http.CloseIdleConnections()
	s := a.settings
	if !s.URL.IsSet() && a.api == nil {
		return d.noURL(s)
	}
	app, is, failed := d.look(c.Context(), a)
	if err := context.Cause(c.Context()); err != nil {
		return err
	}
	if app.Hello.Err != nil && a.api == nil {
		return d.noAnswer(a, app.Hello.Err)
	}
	out := statusJSON{Context: s.Context.Text, KeyID: s.KeyID.Text, Summary: provision.Summarize(app, is, a.ledger)}
	switch {
	case failed != nil:
		out.Platform = innermost(failed)
	case a.api == nil:
		out.Platform = a.blind()
	}
	if d.flags.json {
		err = d.output().Write(c.Context(), out)
	} else {
		err = d.statusText(a, out)
	}
	if err == nil && failed != nil {
		err = a.problem(failed)
	}
	return err
}

// look asks the app and the platform, by reads alone. What the platform refuses
// takes nothing from what shows from outside.
func (d deps) look(ctx context.Context, a account) (app provision.AppSight, is *provision.State, failed error) {
	stop := d.io.Spin("looking")
	defer stop()
	s := a.settings
	app = provision.Watch(ctx, provision.Look{URL: s.URL.Text, HTTP: a.http, UserAgent: userAgent(), Log: d.log,
		Timeout: d.flags.requestTimeout.D(), Now: d.now, Want: func(string) bool { return false }})
	if a.api == nil {
		return app, nil, nil
	}
	is, failed = provision.Observe(ctx, a.api, s.ServiceID.Text)
	if failed != nil {
		is = nil
	}
	return app, is, failed
}

// noAnswer is an address where nothing answers, and there is nobody else to ask.
func (d deps) noAnswer(a account, err error) error {
	at := a.settings.URL.Text
	next := a.aim("pubsubctl doctor")
	if !hosted(a.settings) && config.OnLoopback(at) {
		next = relayAt(at)
	}
	return ui.Problem{Code: ui.NetworkFailed, Err: errors.New("cannot reach " + at), Why: innermost(err), Next: next, Chain: err}
}

// statusText is the screen for people.
func (d deps) statusText(a account, out statusJSON) error {
	t := ui.Table{}
	t.Add("context", out.Context+note(out.KeyID, ", signs with key "+out.KeyID))
	t.Add("app", strings.TrimSpace(out.App.URL+" "+out.App.Detail))
	if out.App.Answers {
		t.Add("switches", "sse "+onOff(out.App.SSE)+", http-publish "+onOff(out.App.HTTPPublish)+", admin "+onOff(out.App.Admin))
	}
	if s := out.Service; s != nil {
		serviceRows(&t, s)
		t.Add("setup", noted(a, out))
		t.Add("to do", pending(out.Pending))
	} else {
		t.Add("service", "not looked at: "+out.Platform)
	}
	if err := t.Print(d.io); err != nil {
		return err
	}
	if !out.App.Answers || len(out.Pending) > 0 {
		d.io.Note("%s says more, %s what would be changed", a.aim("pubsubctl doctor"), a.aim("pubsubctl setup --dry-run"))
	}
	return nil
}

// noted is what setup says it made.
func noted(a account, out statusJSON) string {
	if a.unread != nil {
		return a.unread.Error()
	}
	return fmt.Sprintf("%s noted as made, %d as adopted", counted(out.Made, "thing"), out.Adopted)
}

func serviceRows(t *ui.Table, s *provision.ServiceSummary) {
	version := "no version is active"
	if s.Active {
		version = fmt.Sprintf("version %d is active", s.Version)
	}
	for _, n := range s.Drafts {
		version += fmt.Sprintf(", somebody edits %d", n)
	}
	t.Add("service", s.Name+" ("+s.ID+"), "+version)
	t.Add("domain", orNone(strings.Join(s.Domains, ", ")))
	t.Add("fanout", onOff(s.Fanout))
	t.Add("package", orNone(s.Package))
	var stores []string
	for _, link := range provision.Links() { // their names are for --json: they are long and alike
		if s.Stores[link] == "" {
			link = "no " + link
		}
		stores = append(stores, link)
	}
	t.Add("stores", strings.Join(stores, ", "))
	token := "none"
	if s.TokenStored != nil {
		token = "stored " + ui.FormatTime(*s.TokenStored)
	}
	t.Add("token", token)
	t.Add("keys", orNone(strings.Join(s.Keys, ", ")))
}

// pending is what setup would do, in a line.
func pending(all []provision.Action) string {
	var steps []string
	for _, a := range all {
		if !slices.Contains(steps, string(a.Step)) {
			steps = append(steps, string(a.Step))
		}
	}
	return map[bool]string{true: "nothing", false: strings.Join(steps, ", ")}[len(steps) == 0]
}

func onOff(on bool) string { return map[bool]string{true: "on", false: "off"}[on] }

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// note is more, if there is something to say it of.
func note(of, more string) string {
	if of == "" {
		return ""
	}
	return more
}
