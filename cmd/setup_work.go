package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// setupWork is one run of setup.
type setupWork struct {
	d        deps
	c        *cobra.Command
	o        setupOptions
	account  account
	contexts *config.Contexts
	// target is the context that the service is saved in; it may not exist yet.
	target   string
	env      provision.Env
	spec     provision.Spec
	progress *progress
	// noted is what an earlier run has noted of the service; nil if nothing.
	noted *provision.Ledger
	// key is the one made in this run.
	key provision.Key
	// files is where the key's value went if there is no keyring.
	files string
}

// setupWork resolves everything that a run needs, before anything is asked of the
// platform.
func (d deps) setupWork(c *cobra.Command, o setupOptions) (*setupWork, error) {
	w := &setupWork{d: d, c: c, o: o, progress: &progress{io: d.io}}
	ctx := c.Context()
	s, err := w.settings()
	if e, is := errors.AsType[*config.Error](err); is && e.Reason == config.Unreadable && e.Hint == "" {
		e.Hint = w.again("--config", "FILE")
	}
	if err != nil {
		return nil, err
	}
	if w.contexts = s.Contexts; w.contexts.Path == "" {
		return nil, ui.Problemf(ui.ConfigUnreadable, "there is no place for the contexts file").
			Because("the environment names no home directory").Try(w.again("--config", "FILE"))
	}
	w.dropForeignAPI(s)
	if w.account, err = d.accountOf(s); err != nil {
		return nil, err
	}
	if err := w.aim(s); err != nil {
		return nil, err
	}
	if err := w.reachable(ctx, s); err != nil {
		return nil, err
	}
	return w, w.want(ctx)
}

// settings are those of the context that the service is saved in, if there is one;
// one that -c names may be still to be made.
func (w *setupWork) settings() (*config.Settings, error) {
	s, err := w.d.settings(w.c)
	e, is := errors.AsType[*config.Error](err)
	if !is || e.Reason != config.UnknownContext || !w.c.Flags().Changed("context") {
		return s, err
	}
	if err := config.CheckName(w.d.flags.context); err != nil {
		return nil, usage(w.c, ui.UsageBadFlag, err.Error())
	}
	w.target = w.d.flags.context
	return w.d.settingsIn(w.c, config.Local)
}

// dropForeignAPI forgets the platform of a context that only happens to be current:
// after a rehearsal on this machine, another service is made at Fastly.
func (w *setupWork) dropForeignAPI(s *config.Settings) {
	if s.APIURL.Origin.Level != config.FromContext || w.o.name == "" && w.o.adopt == "" || w.c.Flags().Changed("context") {
		return
	}
	saved, _ := s.Contexts.Get(s.Context.Text)
	if s.Context.Text != contextName(w.o.name) && (w.o.adopt == "" || saved.ServiceID != w.o.adopt) {
		s.APIURL = config.Value{}
	}
}

// aim finds out which service is meant. One that the context names, or a flag, is
// agreed to; one that lies about in a file or a variable is not.
func (w *setupWork) aim(s *config.Settings) error {
	id := s.ServiceID
	switch {
	case w.o.adopt != "":
		w.spec.ServiceID, w.spec.Adopt = w.o.adopt, true
	case w.o.name != "":
		w.spec.Name = w.o.name
	case id.IsSet():
		w.spec.ServiceID = id.Text
		w.spec.Adopt = id.Origin.Level == config.Flag || id.Origin.Level == config.FromContext
	default:
		return ui.Problemf(ui.UsageMissingArgument, "setup does not know which service is meant").
			Because("neither --name nor --adopt is given, and context " + quote(s.Context.Text) + " has no service").
			Try("pubsubctl setup --name NAME --package FILE")
	}
	return nil
}

// reachable looks the API token up, and where ledgers are.
func (w *setupWork) reachable(ctx context.Context, s *config.Settings) error {
	if w.account.book == nil {
		return ui.Problemf(ui.ConfigUnreadable, "there is no place to note what setup makes").
			Because("the environment names no home directory").Try("XDG_STATE_HOME=DIR " + w.again())
	}
	if !s.APIToken.IsSet() {
		return ui.Problemf(ui.ConfigMissingKey, "no API token is known").
			Because("neither FASTLY_API_TOKEN, nor context " + quote(s.Context.Text) + ", nor the Fastly CLI has one").
			Try("pubsubctl help environment")
	}
	return w.account.open(ctx, w.d)
}

// want fills in what is wanted and what the run needs from outside.
func (w *setupWork) want(ctx context.Context) (err error) {
	d, a := w.d, &w.account
	ledger, err := w.ledger()
	if err != nil {
		return w.problem(err, nil)
	}
	w.noted = ledger
	w.chooseTarget(ledger)
	w.spec.Messages, w.spec.Test = !w.o.noMessages, !w.o.noTest
	w.spec.Only, w.spec.Domain = provision.Step(w.o.only), strings.ToLower(w.o.domain)
	if w.spec.ConfigItems, err = w.o.switches(w.c); err != nil {
		return err
	}
	if w.spec.AppURL = w.appURL(ledger); inClear(w.spec.AppURL) && w.spec.Only == "" {
		return usage(w.c, ui.UsageBadFlag, "setup does not reach the app at "+w.spec.AppURL).
			Because("it is not https and leads to another machine: the publish token and the signing key would cross the network in the clear")
	}
	if w.spec.PublishToken, err = w.o.token(ctx, d, w.withToken()); err != nil {
		return err
	}
	if w.spec.Package, err = w.o.archive(ctx, d, *a); err != nil {
		return w.problem(err, nil)
	}
	look := provision.Look{HTTP: a.http, UserAgent: userAgent(), Log: d.log, Timeout: d.flags.requestTimeout.D(), Now: d.now}
	w.env = provision.Env{
		API: a.api, Endpoint: a.endpoint, Operator: a.token, Book: a.book, Look: look, Watch: w.progress, Clock: fastly.Clock{Now: d.now},
		As:      func(token config.Secret) (fastly.API, error) { return a.as(d, token) },
		KeepKey: w.keepKey, SelfTest: w.selfTest,
	}
	if d.io.Prompts {
		w.env.PublishToken = w.askForToken
	}
	return nil
}

// ledger is what setup has noted of the service; nil if nothing.
func (w *setupWork) ledger() (*provision.Ledger, error) {
	all, err := w.account.book.All()
	for _, l := range all {
		if l.ServiceID == w.spec.ServiceID && w.spec.ServiceID != "" || l.ServiceName == w.spec.Name && w.spec.Name != "" {
			return l, nil
		}
	}
	return nil, err
}

// chooseTarget finds the context: the one asked for, the one of the last run, the
// one that the service is from, or one of the service's name.
func (w *setupWork) chooseTarget(l *provision.Ledger) {
	s := w.account.settings
	switch {
	case w.target != "":
	case w.d.flags.context != "":
		w.target = w.d.flags.context
	case l != nil && l.Context != "":
		w.target = l.Context
	case w.o.name == "" && w.o.adopt == "" && s.ServiceID.Origin.Level == config.FromContext:
		w.target = s.Context.Text
	case w.spec.Name != "":
		w.target = contextName(w.spec.Name)
	}
}

// contextName makes a service's name one of a context.
func contextName(service string) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && config.CheckName("a"+string(r)) == nil {
			return r
		}
		return '-'
	}, service)
	name = strings.TrimLeft(name, "-._")
	name = strings.TrimRight(name[:min(len(name), 64)], "-._")
	if name == "" || name == config.Local {
		return "service"
	}
	return name
}

// appURL is where the app answers, if that is not the domain: as given, or as the
// context has it from an earlier run.
func (w *setupWork) appURL(l *provision.Ledger) string {
	if w.o.appURL != "" {
		return strings.TrimRight(w.o.appURL, "/")
	}
	saved, ok := w.contexts.Get(w.target)
	if !ok || w.o.domain != "" && !config.OnLoopback(saved.URL) || saved.URL == "" || saved.ServiceID == "" {
		return ""
	}
	if saved.ServiceID == w.spec.ServiceID || l != nil && saved.ServiceID == l.ServiceID {
		return strings.TrimRight(saved.URL, "/")
	}
	return ""
}

// claim refuses to write over a context of another service.
func (w *setupWork) claim(plan *provision.Plan) error {
	if w.target == "" {
		w.target = contextName(plan.Name)
	}
	if w.spec.Only != "" && !plan.Has(provision.StepSigningKey) {
		return nil // no context is written
	}
	saved, ok := w.contexts.Get(w.target)
	if !ok || w.contexts.Saved(w.target) && w.mine(saved, plan) {
		return nil
	}
	what := "of service " + saved.ServiceID
	switch {
	case !w.contexts.Saved(w.target):
		what = "the one of relays on this machine"
	case saved.ServiceID == "" && saved.URL != "":
		what = "of " + saved.URL
	case saved.ServiceID == "":
		what = "one with key " + saved.Key.ID
	}
	return ui.Problemf(ui.UsageBadFlag, "context "+quote(w.target)+" is "+what).
		Because("setup saves the service it makes in a context, and would write over that one").Try("pubsubctl setup" + w.rest("context") + " -c " + pasteWord(w.target+"-2"))
}

// mine reports whether a context is of the service of the plan, or of none that is
// still there.
func (w *setupWork) mine(saved config.Context, plan *provision.Plan) bool {
	if saved.ServiceID != "" {
		return saved.ServiceID == plan.ServiceID || w.account.book.Removed(saved.ServiceID)
	}
	if saved.URL == "" {
		return saved.Key.ID == ""
	}
	at := strings.TrimRight(saved.URL, "/")
	return at == w.spec.AppURL || strings.EqualFold(at, "https://"+plan.Domain)
}

// writable makes sure that the context can be saved, before there is anything to save.
func (w *setupWork) writable() error {
	dir := filepath.Dir(w.contexts.Path)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".writable-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err == nil {
		return nil
	}
	return ui.Problem{Code: ui.ConfigUnreadable, Err: errors.New("the context could not be saved in " + dir), Why: innermost(err),
		Next: w.again("--config", "FILE"), Chain: err}
}
