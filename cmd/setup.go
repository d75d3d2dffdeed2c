package cmd

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

type setupOptions struct {
	name, adopt                  string
	program, sha256, source      string
	domain, appURL, publishToken string
	items                        []string // NAME=BOOL
	only                         string
	noMessages, noTest, dryRun   bool
}

func newSetup(d deps) *cobra.Command {
	var o setupOptions
	c := &cobra.Command{
		Use:   "setup",
		Short: "Set a Pub/Sub service up on Fastly, or repair one",
		Long: "Make a Compute service with the Pub/Sub app: the service, its domain, backends\n" +
			"and stores, Fanout, the token it publishes with, and a signing key. It looks at\n" +
			"what is there, shows what it will do, asks, and does it; then it sends a message\n" +
			"through the service over SSE and MQTT, and saves a context, which becomes the\n" +
			"current one. The publish token is encrypted before it leaves this machine. The\n" +
			"signing key goes into the keyring, or where there is none into a file that only\n" +
			"you can read.\n\n" +
			"Run again it does what is missing, and nothing if nothing is. A run that was\n" +
			"interrupted exits 9, and the same command goes on from there. What was made is\n" +
			"noted on this machine, so that teardown removes that and nothing else.\n\n" +
			"Without --name or --adopt it works on the service of the context. The API token\n" +
			"is FASTLY_API_TOKEN's, the context's, or the Fastly CLI's.\n\n" +
			"Steps: " + strings.Join(wrapWords(stepNames(), 70), "\n  ") + ".",
		Example: "  pubsubctl setup --name chat --package pkg/pubsub.tar.gz --dry-run\n" +
			"  pubsubctl setup --name chat --source ../pubsub --publish-token env:PUBLISH_TOKEN\n" +
			"  pubsubctl setup --adopt SU1Z0isxPaozGVKXdv0eY\n" +
			"  pubsubctl setup -c chat --only fanout --yes",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("status, doctor, teardown, key create", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c, d); err != nil {
				return err
			}
			w, err := d.setupWork(c, o)
			if err != nil {
				return err
			}
			defer w.account.http.CloseIdleConnections()
			return w.run(c.Context())
		},
	}
	o.define(c)
	return c
}

// stepNames are the steps in the order in which they are taken.
func stepNames() []string {
	var names []string
	for _, s := range provision.Steps() {
		names = append(names, string(s))
	}
	return names
}

func (o *setupOptions) define(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.name, "name", "", "`NAME` of the service to make, or made before")
	f.StringVar(&o.adopt, "adopt", "", "`ID` of a service made otherwise; it survives teardown")
	f.StringVar(&o.program, "package", "", "the app's package, a `FILE` or an https address")
	f.StringVar(&o.sha256, "package-sha256", "", "what the package must hash to, in `HEX`")
	f.StringVar(&o.source, "source", "", "build the app from the checkout in `DIR`")
	f.StringVar(&o.domain, "domain", "", "`DOMAIN` of the service; default is a free one")
	f.StringVar(&o.publishToken, "publish-token", "", "token the app publishes with: env:NAME or another `REF`")
	f.BoolVar(&o.noMessages, "no-messages", false, "leave the store for retained messages out")
	f.StringArrayVar(&o.items, "config-item", nil, "switch `NAME=BOOL`: sse, http-publish or admin; repeatable")
	f.BoolVar(&o.noTest, "no-test", false, "send no message through the service at the end")
	f.StringVar(&o.only, "only", "", "take one `STEP` and what it needs")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done and do nothing")
	f.StringVar(&o.appURL, "app-url", "", "`URL` of the app, if not https://DOMAIN")
	defineAPIFlags(c)
	completeWords(c, "only", stepNames()...)
	completeWords(c, "config-item", "sse=", "http-publish=", "admin=")
}

// run plans, asks, applies and reports.
func (w *setupWork) run(ctx context.Context) error {
	d := w.d
	if !w.o.dryRun {
		unlock, err := w.account.book.Lock()
		if err != nil {
			return w.problem(err, nil)
		}
		defer unlock()
	}
	plan, err := w.prepare(ctx)
	if err != nil {
		return err
	}
	switch {
	case w.o.dryRun:
		return w.printPlan(plan)
	case plan.Empty():
		return w.nothingToDo(ctx, plan)
	}
	if err := w.agree(ctx, plan); err != nil {
		return err
	}
	report, err := provision.Apply(ctx, w.env, w.spec, plan)
	w.progress.hold()
	if err == nil {
		err = w.settle(ctx, report)
	}
	if err != nil {
		return w.problem(err, report)
	}
	if d.flags.json {
		return w.printJSON(plan, report)
	}
	w.farewell(report)
	return nil
}

// prepare makes the plan and looks whether its context can be saved.
func (w *setupWork) prepare(ctx context.Context) (*provision.Plan, error) {
	stop := w.d.io.Spin("looking at the account")
	plan, err := provision.Prepare(ctx, w.env, w.spec)
	stop()
	if err != nil {
		return nil, w.problem(err, nil)
	}
	return plan, w.claim(plan)
}

// agree shows the plan and asks whether to carry it out.
func (w *setupWork) agree(ctx context.Context, plan *provision.Plan) error {
	d := w.d
	for _, line := range plan.Lines() {
		style, sign, rest := planLine(line)
		d.io.Signed(style, sign, rest)
	}
	if changes := slices.ContainsFunc(plan.Actions, func(a provision.Action) bool { return a.Verb != provision.Probe }); changes && !d.flags.yes {
		sure, err := d.io.Confirm(ctx, "set service "+plan.Name+" up so?", w.again("--yes"))
		if err == nil && !sure {
			err = ui.Problemf(ui.APIFailed, "nothing was done")
		}
		if err != nil {
			return err
		}
	}
	return w.writable()
}

// setupJSON is what --json prints.
type setupJSON struct {
	*provision.Plan
	Writes int               `json:"writes"`
	DryRun bool              `json:"dry_run"`
	Result *provision.Report `json:"result,omitempty"`
}

func (w *setupWork) printJSON(plan *provision.Plan, report *provision.Report) error {
	if report != nil {
		plan.ServiceID, plan.Domain = report.ServiceID, report.Domain
	}
	return w.d.output().Write(w.c.Context(), setupJSON{plan, plan.Writes(), w.o.dryRun, report})
}

// printPlan is --dry-run: the plan is what was asked for.
func (w *setupWork) printPlan(plan *provision.Plan) error {
	if w.d.flags.json {
		return w.printJSON(plan, nil)
	}
	var b strings.Builder
	for _, line := range plan.Lines() {
		style, sign, rest := planLine(line)
		b.WriteString(style.Paint(w.d.io.OutColor, sign) + ui.Escape(rest) + "\n")
	}
	if plan.Has(provision.StepService) && plan.ServiceID == "" {
		w.d.io.Note("names that are made up here are made up anew when it is done")
	}
	_, err := io.WriteString(w.d.io.Out, b.String())
	return err
}

// planLine takes the sign of a plan's line off it; the colour repeats what the sign
// says.
func planLine(line string) (style ui.Style, sign, rest string) {
	styles := map[string]ui.Style{"+ ": ui.Green, "~ ": ui.Yellow, "! ": ui.Red, "? ": ui.Cyan}
	if style, found := styles[line[:min(2, len(line))]]; found {
		return style, line[:1], line[1:]
	}
	return ui.Plain, "", line
}

// nothingToDo is a service that is as wanted. The context may still be missing: it
// is on this machine, and not part of the service.
func (w *setupWork) nothingToDo(ctx context.Context, plan *provision.Plan) error {
	report := &provision.Report{ServiceID: plan.ServiceID, Name: plan.Name, Domain: plan.Domain, Version: plan.Base,
		URL: w.spec.AppURL, Steps: []provision.StepReport{}, Warnings: plan.Warnings}
	if report.URL == "" {
		report.URL = "https://" + plan.Domain
	}
	if err := w.settle(ctx, report); err != nil {
		return w.problem(err, report)
	}
	if w.d.flags.json {
		return w.printJSON(plan, report)
	}
	for _, warning := range plan.Warnings {
		w.d.io.Warn("%s", warning)
	}
	w.d.io.Note("nothing to do: service %s is as it should be", plan.Name)
	return nil
}

// farewell says what there is now and what to try.
func (w *setupWork) farewell(r *provision.Report) {
	d := w.d
	d.io.Note("service %s answers at %s", r.Name, r.URL)
	if w.key.ID == "" {
		return // nothing new for other commands
	}
	d.io.Note("context %s is saved in %s", r.Context, w.contexts.Path)
	d.io.Note("try: pubsubctl subscribe test, and elsewhere: pubsubctl publish test hello")
}
