package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

type teardownOptions struct {
	keepStores, dryRun bool
	confirm            string
}

func newTeardown(d deps) *cobra.Command {
	var o teardownOptions
	c := &cobra.Command{
		Use:   "teardown",
		Short: "Remove what setup made, and nothing else",
		Long: "Remove the service, its stores and its publish token, as far as setup has noted\n" +
			"that it made them. What was there before stays, and so does a store that another\n" +
			"service uses. A service that was adopted loses only what setup added to it.\n\n" +
			"It shows what it will do and asks; a protected context asks for the name of the\n" +
			"service. The context stays, so that the same command can be run again.",
		Example: "  pubsubctl teardown --dry-run\n" +
			"  pubsubctl teardown -c chat --keep-stores\n" +
			"  pubsubctl teardown -c chat --yes --confirm chat",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("setup, status, context delete", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			return runTeardown(c, d, o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be removed and remove nothing")
	f.BoolVar(&o.keepStores, "keep-stores", false, "leave the stores with keys and messages")
	f.StringVar(&o.confirm, "confirm", "", "`NAME` of the service, for a protected context")
	defineAPIFlags(c)
	return c
}

func runTeardown(c *cobra.Command, d deps, o teardownOptions) error {
	ctx := c.Context()
	a, err := d.account(ctx, c)
	if err != nil {
		return err
	}
	defer a.http.CloseIdleConnections()
	id := a.settings.ServiceID.Text
	if err := a.needsAPI(); err != nil {
		return err
	}
	if !o.dryRun {
		unlock, err := a.book.Lock()
		if err != nil {
			return ledgerProblem(err)
		}
		defer unlock()
	}
	ledger, err := provision.Owner(ctx, a.api, a.book, id)
	if _, own := errors.AsType[*provision.LedgerError](err); own {
		return ledgerProblem(err)
	}
	if err != nil {
		return a.problem(err)
	}
	if ledger == nil {
		return d.nothingRecorded(c, a)
	}
	t, err := provision.PlanTeardown(ctx, a.api, ledger, provision.TeardownOptions{KeepStores: o.keepStores})
	if err != nil {
		return a.problem(err)
	}
	return d.tearDown(c, a, t, o)
}

// nothingRecorded is for a service without a ledger: one that was torn down is
// done, one that setup knows nothing of is none of our business.
func (d deps) nothingRecorded(c *cobra.Command, a account) error {
	id := a.settings.ServiceID.Text
	if a.book.Removed(id) {
		d.io.Note("service %s is torn down already", id)
		return d.reportTeardown(c, &provision.Teardown{ServiceID: id, Removals: []provision.Removal{}, Kept: []provision.Spared{}}, false)
	}
	return ui.Problemf(ui.NotFoundLedger, "nothing on this machine says that setup made service "+quote(id)).
		Because("only what setup has noted in " + a.book.Dir + " is removed").Try(a.aim("pubsubctl status"))
}

func (d deps) tearDown(c *cobra.Command, a account, t *provision.Teardown, o teardownOptions) error {
	if t.Empty() {
		d.io.Note("nothing to remove")
	}
	switch {
	case o.dryRun:
		return d.reportTeardown(c, t, true)
	case t.Empty():
		if err := t.Apply(c.Context(), func(provision.Removal) {}); err != nil { // the ledger is set aside
			return a.problem(err)
		}
		return d.reportTeardown(c, t, false)
	}
	if !d.flags.json {
		d.notePlan(t)
	}
	question := "remove " + counted(len(t.Removals), "thing") + " of service " + t.Name + " for good"
	if n := t.Items(); n > 0 {
		question += ", with " + counted(n, "stored message")
	}
	if err := d.confirmNamed(c.Context(), a.settings, t.Name, question+"?", o.confirm, sameAgain(c, agreeing())); err != nil {
		return err
	}
	err := t.Apply(c.Context(), func(r provision.Removal) { d.io.Note("%sed %s", strings.TrimSuffix(r.Verb, "e"), describeRemoval(r)) })
	if err != nil {
		return a.halfTornDown(c, err)
	}
	d.io.Note("the name of its domain can be taken by anyone now; context %s is left: pubsubctl context delete %s", a.settings.Context.Text, a.settings.Context.Text)
	return d.reportTeardown(c, t, false)
}

// describeRemoval names the object of a step.
func describeRemoval(r provision.Removal) string {
	text := strings.TrimSpace(r.Kind + " " + r.ID)
	if r.Name != "" && r.Name != r.ID {
		text += " (" + r.Name + ")"
	}
	if r.Items > 0 {
		text += " with " + counted(r.Items, "item")
	}
	return text
}

// planLines is the plan for people.
func planLines(t *provision.Teardown) []string {
	var lines []string
	for _, r := range t.Removals {
		lines = append(lines, fmt.Sprintf("- %-10s %s", r.Verb, describeRemoval(r)))
	}
	for _, k := range t.Kept {
		lines = append(lines, fmt.Sprintf("= %-10s %s: %s", "keep", describeRemoval(provision.Removal{Object: k.Object}), k.Why))
	}
	return lines
}

func (d deps) notePlan(t *provision.Teardown) {
	for _, line := range planLines(t) {
		d.io.Note("%s", line)
	}
}

// reportTeardown prints the plan, or in JSON what was done.
func (d deps) reportTeardown(c *cobra.Command, t *provision.Teardown, dry bool) error {
	if d.flags.json {
		return d.output().Write(c.Context(), struct {
			*provision.Teardown
			DryRun bool `json:"dry_run"`
		}{t, dry})
	}
	if !dry {
		return nil
	}
	text := ""
	for _, line := range planLines(t) {
		text += ui.Escape(line) + "\n"
	}
	_, err := io.WriteString(d.io.Out, text)
	return err
}

// ledgerProblem is about the notes of setup.
func ledgerProblem(err error) error {
	busy, is := errors.AsType[*provision.BusyError](err)
	damaged, bad := errors.AsType[*provision.LedgerError](err)
	switch {
	case is:
		return ui.Problem{Code: ui.APIBusy, Err: busy, Why: "both would change the same service", Chain: err}
	case bad:
		return ui.Problem{Code: ui.ConfigUnreadable, Err: damaged, Why: "without it nobody knows what setup made; set aside, it is as if setup had made nothing",
			Next: "mv " + pasteWord(damaged.File) + " " + pasteWord(damaged.File+".damaged"), Chain: err}
	}
	return err
}

// needsAPI refuses to go on without a service and a token.
func (a account) needsAPI() error {
	s := a.settings
	switch {
	case !hosted(s):
		return ui.Problemf(ui.ConfigIncomplete, "context "+quote(s.Context.Text)+" has no service").
			Because("no service id is known, so there is nothing on the platform").Try("pubsubctl context list")
	case a.book == nil:
		return ui.Problemf(ui.ConfigUnreadable, "there is no place for what setup notes").
			Because("the environment names no home directory")
	case a.api == nil:
		return ui.Problemf(ui.ConfigMissingKey, "no API token is known for service "+s.ServiceID.Text).
			Because("neither FASTLY_API_TOKEN nor context " + quote(s.Context.Text) + " has one").Try(a.aim("pubsubctl context show --resolved"))
	}
	return nil
}

// problem explains a failure of the platform.
func (a account) problem(err error) error {
	if _, done := errors.AsType[ui.Problem](err); done || errors.Is(err, context.Canceled) {
		return err
	}
	p := ui.Problem{Code: ui.APIFailed, Err: errors.New("the platform refused"), Chain: err, Next: "pubsubctl doctor"}
	refused, api := errors.AsType[*fastly.APIError](err)
	_, unanswered := errors.AsType[*fastly.UnansweredError](err)
	_, limited := fastly.RateLimited(err)
	switch {
	case fastly.Expired(err):
		p.Code, p.Err, p.Next = ui.AuthRefused, errors.New("the API token has expired"), "pubsubctl context show --resolved"
	case fastly.Unauthorized(err):
		p.Code, p.Err, p.Next = ui.AuthRefused, errors.New("the API token does not allow it"), "pubsubctl context show --resolved"
	case fastly.NotFound(err):
		p.Code, p.Err = ui.NotFoundService, errors.New("there is no service "+quote(a.settings.ServiceID.Text)+" that the API token may see")
	case limited:
		p.Err = errors.New("the account's budget of writes for this hour is spent")
	case isMoved(err):
		p.Err, p.Next = errors.New("somebody else works on the service"), "pubsubctl status"
	case unanswered:
		p.Code, p.Err, p.Next = ui.NetworkFailed, errors.New("cannot reach "+a.endpoint), "pubsubctl doctor api"
	}
	if api {
		p.Why = fmt.Sprintf("%s %s: %d %s", refused.Method, refused.Path, refused.Status, refused.Text())
		if limited && !refused.Reset.IsZero() {
			p.Why += "; it is full again at " + ui.FormatTime(refused.Reset)
		}
	} else {
		p.Why = innermost(err)
	}
	p.Next = a.aim(p.Next)
	return p
}

// halfTornDown explains a failure in the middle: the same command goes on.
func (a account) halfTornDown(c *cobra.Command, err error) error {
	half, is := errors.AsType[*provision.TeardownError](err)
	p, explained := errors.AsType[ui.Problem](a.problem(err))
	if !is || half.Done == 0 || !explained {
		return a.problem(err)
	}
	p.Code, p.Next = ui.APIPartlyDone, sameAgain(c, nil)
	p.Err = fmt.Errorf("part is removed, and then: %s %s: %w", half.Failed.Verb, describeRemoval(half.Failed), p.Err)
	return p
}

func isMoved(err error) bool {
	_, is := errors.AsType[*provision.MovedError](err)
	return is
}
