package cmd

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

type keyCreateOptions struct{ save, direct, noWait bool }

func newKeyCreate(d deps) *cobra.Command {
	var o keyCreateOptions
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a new signing key",
		Long: "Have the service make a signing key, print its value alone on stdout, and wait\n" +
			"until the service accepts it. The value cannot be shown again. --save also makes\n" +
			"it the key of the context: its value goes into the keyring, or where there is none\n" +
			"into a file that only you can read.\n\n" +
			"The service wants a Fastly-Key, which is the context's or else the API token. That is\n" +
			"sent to an address that is proven to be the service's only. --direct writes the\n" +
			"key into the service's store instead, which works with admin switched off.",
		Example: "  pubsubctl key create --save\n" +
			"  pubsubctl key create --json\n" +
			"  pubsubctl key create --direct -c chat > chat.key",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("key list, key rotate, token mint", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := d.keyWork(c)
			if err != nil {
				return err
			}
			defer w.close()
			k, err := w.create(o)
			if err != nil {
				return err
			}
			return w.deliver(k, o, "")
		},
	}
	o.define(c)
	c.Flags().BoolVar(&o.save, "save", false, "make it the key of the context")
	return c
}

// define adds the flags that say how a key is made.
func (o *keyCreateOptions) define(c *cobra.Command) {
	c.Flags().BoolVar(&o.direct, "direct", false, "write it into the store, without the service's help")
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait until the service accepts it")
	defineKeyStoreFlags(c)
}

// create makes a key and has its value redacted everywhere but where it is printed.
func (w keyWork) create(o keyCreateOptions) (provision.Key, error) {
	k, err := w.make(o)
	if err != nil {
		return k, w.problem(err, k.ID)
	}
	w.d.io.Secrets.Add(k.Value.Reveal())
	return k, nil
}

func (w keyWork) make(o keyCreateOptions) (provision.Key, error) {
	ctx, s := w.c.Context(), w.account.settings
	if o.direct {
		store, err := w.store(ctx)
		if err != nil {
			return provision.Key{}, err
		}
		k, err := provision.NewKey()
		if err != nil {
			return k, err
		}
		return k, store.Put(ctx, k, true)
	}
	if !s.URL.IsSet() {
		return provision.Key{}, w.d.noURL(s)
	}
	admin, err := w.admin(ctx, s.URL.Text, w.domains(ctx))
	if err != nil {
		return provision.Key{}, err
	}
	return admin.Create(ctx)
}

// deliver prints a new key before anything else can fail, then settles it.
func (w keyWork) deliver(k provision.Key, o keyCreateOptions, previous string) error {
	if err := w.printKey(k, previous); err != nil {
		return err
	}
	return w.settle(k, o)
}

// settle saves a key if that was asked for, and waits until it is good.
func (w keyWork) settle(k provision.Key, o keyCreateOptions) error {
	if o.save {
		if err := w.d.saveKey(w.account.settings, k); err != nil {
			return err
		}
		if l := w.account.ledger; l != nil {
			if err := l.SignWith(k.ID); err != nil {
				return err
			}
		}
	}
	if o.noWait || !w.account.settings.URL.IsSet() {
		return nil
	}
	look := provision.Look{URL: w.account.settings.URL.Text, HTTP: w.account.http, UserAgent: userAgent(), Log: w.d.log,
		Timeout: w.d.flags.requestTimeout.D(), Now: w.d.now}
	switch err := provision.AwaitKey(w.c.Context(), look, k, w.d.now()); {
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		w.d.io.Warn("whether the service accepts key %s is not known: %s", k.ID, innermost(err))
	default:
		w.d.io.Note("the service accepts it")
	}
	return nil
}

type keyDeleteOptions struct {
	force, dryRun bool
	confirm       string
}

func newKeyDelete(d deps) *cobra.Command {
	var o keyDeleteOptions
	c := &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a signing key, and with it every token it signed",
		Long: "Delete a signing key. Tokens signed with it are refused from then on, as soon as\n" +
			"the store has told all of the world; connections that are open stay. On a protected\n" +
			"context the name of the context is asked for.",
		Example: "  pubsubctl key delete ab12cd34\n" +
			"  pubsubctl key delete ab12cd34 --yes --force\n" +
			"  pubsubctl key delete ab12cd34 -c prod --yes --confirm prod",
		Args:              argsExact("the id of a key"),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("key list, key rotate", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			w, err := d.keyWork(c)
			if err != nil {
				return err
			}
			defer w.close()
			return w.delete(args[0], o)
		},
	}
	o.define(c)
	c.Flags().BoolVar(&o.force, "force", false, "succeed even if there is no such key")
	defineKeyStoreFlags(c)
	return c
}

func (o *keyDeleteOptions) define(c *cobra.Command) {
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done and do nothing")
	c.Flags().StringVar(&o.confirm, "confirm", "", "`NAME` of the service, or of a relay's context, if it is protected")
}

// serviceName is what a protected context wants typed: the service's name, or for
// a relay the context's.
func (w keyWork) serviceName(ctx context.Context) (string, error) {
	if w.account.api == nil {
		return w.account.settings.Context.Text, nil
	}
	s, err := w.account.api.Service(ctx, w.account.settings.ServiceID.Text)
	return s.Name, err
}

func (w keyWork) delete(id string, o keyDeleteOptions) error {
	ctx, s := w.c.Context(), w.account.settings
	store, err := w.store(ctx)
	if err != nil {
		return w.problem(err, id)
	}
	if o.dryRun {
		w.d.io.Note("would delete key %s of %s", id, w.place())
		return w.reportDeleted(id, true)
	}
	// A key that is not there needs no agreement.
	keys, err := store.List(ctx)
	if err != nil {
		return w.problem(err, id)
	}
	there := false
	for _, k := range keys {
		there = there || k.ID == id
	}
	if there {
		question := "delete key " + id + " of " + w.place() + " and refuse all tokens signed with it?"
		name, err := w.serviceName(ctx)
		if err != nil {
			return w.problem(err, id)
		}
		if err := w.d.confirmNamed(ctx, s, name, question, o.confirm, sameAgain(w.c, agreeing())); err != nil {
			return err
		}
	}
	if err := store.Delete(ctx, id); err != nil && !(o.force && errors.Is(err, provision.ErrNoKey)) {
		return w.problem(err, id)
	}
	w.d.io.Note("deleted key %s", id)
	if id == s.KeyID.Text {
		w.d.io.Warn("context %s still signs with it; %s makes another", s.Context.Text, w.aim("pubsubctl key create --save"))
	}
	return w.reportDeleted(id, false)
}

func (w keyWork) reportDeleted(id string, dry bool) error {
	if !w.d.flags.json {
		return nil
	}
	out := map[string]any{"deleted": id}
	if dry {
		out["dry_run"] = true
	}
	return w.d.output().Write(w.c.Context(), out)
}

// confirmNamed asks before something that cannot be undone; a protected context
// has the name of the service typed. command is what a script would add flags to.
func (d deps) confirmNamed(ctx context.Context, s *config.Settings, name, question, confirm, command string) error {
	if !s.Protected {
		if d.flags.yes {
			return nil
		}
		sure, err := d.io.Confirm(ctx, question, command+" --yes")
		if err == nil && !sure {
			err = ui.Problemf(ui.APIFailed, "nothing was done")
		}
		return err
	}
	answered := command + " --yes --confirm " + pasteWord(name)
	if confirm == "" && !d.flags.yes {
		typed, err := d.io.Ask(ctx, question+" context "+s.Context.Text+" is protected; type "+name+":", answered)
		if err != nil {
			return err
		}
		confirm = typed
	}
	if confirm != name {
		return ui.Problemf(ui.UsageInputNotAllowed, "context "+quote(s.Context.Text)+" is protected, and the name "+quote(name)+" was not given").Try(answered)
	}
	return nil
}

type keyImportOptions struct {
	keyCreateOptions
	value           string
	replace, dryRun bool
}

func newKeyImport(d deps) *cobra.Command {
	var o keyImportOptions
	c := &cobra.Command{
		Use:   "import ID",
		Short: "Store a signing key made elsewhere",
		Long: "Store a key under an id: the text on stdin, or what --value names. One line end at\n" +
			"its end is dropped; any other character counts, because the service takes the value\n" +
			"byte by byte. Nothing is printed.",
		Example: "  pubsubctl key import ab12cd34 --value file:ab12cd34.key\n" +
			"  pubsubctl key import test --value env:TEST_KEY --save\n" +
			"  pubsubctl key import ab12cd34 --value 'cmd:pass show chat' --replace",
		Args:              argsExact("the id of a key"),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("key create, key list", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			if !pubsub.LegalKey(args[0]) {
				return usage(c, ui.UsageBadArgument, quote(args[0])+" cannot be the id of a key")
			}
			w, err := d.keyWork(c)
			if err != nil {
				return err
			}
			defer w.close()
			return w.importKey(args[0], o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.value, "value", "", "where the value is: env:, keyring:, file:, cmd: or - `REF`")
	f.BoolVar(&o.replace, "replace", false, "replace a key of this id")
	f.BoolVar(&o.save, "save", false, "make it the key of the context")
	f.BoolVar(&o.noWait, "no-wait", false, "do not wait until the service accepts it")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done and do nothing")
	defineKeyStoreFlags(c)
	return c
}

func (w keyWork) importKey(id string, o keyImportOptions) error {
	ctx := w.c.Context()
	value, err := w.importedValue(ctx, o.value)
	if err != nil {
		return err
	}
	store, err := w.store(ctx)
	if err != nil {
		return w.problem(err, id)
	}
	if o.dryRun {
		w.d.io.Note("would store key %s in %s", id, w.place())
		return w.reportImported(id, true)
	}
	k := provision.Key{ID: id, Value: config.NewSecret(value)}
	if err := store.Put(ctx, k, !o.replace); err != nil {
		return w.problem(err, id)
	}
	w.d.io.Note("stored key %s", id)
	if err := w.reportImported(id, false); err != nil {
		return err
	}
	return w.settle(k, o.keyCreateOptions)
}

func (w keyWork) reportImported(id string, dry bool) error {
	if !w.d.flags.json {
		return nil
	}
	out := map[string]any{"imported": id}
	if dry {
		out["dry_run"] = true
	}
	return w.d.output().Write(w.c.Context(), out)
}

// importedValue reads the value and warns of what is seldom meant.
func (w keyWork) importedValue(ctx context.Context, ref string) (string, error) {
	if ref == "" && !w.d.io.InData {
		return "", ui.Problemf(ui.UsageMissingInput, "no value given").Because("stdin is not a pipe or a file").
			Try(sameAgain(w.c, []string{"value"}, "--value", "file:PATH"))
	}
	if ref == "" {
		ref = "-"
	}
	parsed := config.ParseRef(ref)
	if parsed.IsLiteral() {
		return "", ui.Problemf(ui.ConfigSecretLiteral, "the value of a key is not written on the command line").
			Because("other users of this machine could see it; --value takes env:, keyring:, file:, cmd: or -").
			Try(sameAgain(w.c, []string{"value"}, "--value", "file:PATH"))
	}
	value, err := w.d.secret(ctx, parsed)
	if err == nil && strings.TrimSpace(value) != value {
		w.d.io.Warn("the value begins or ends with white space, which is part of the key")
	}
	return value, err
}

type keyRotateOptions struct {
	keyCreateOptions
	keyDeleteOptions
	revoke string
}

func newKeyRotate(d deps) *cobra.Command {
	var o keyRotateOptions
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the signing key of the context, in two steps",
		Long: "First, rotate makes a new key, prints its value and has the context sign with it.\n" +
			"The old key stays, so that tokens signed with it work while new ones are given out.\n" +
			"Then rotate --revoke OLD deletes it.",
		Example: "  pubsubctl key rotate\n" +
			"  pubsubctl key rotate --revoke ab12cd34",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("key create, key delete, token mint", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := d.keyWork(c)
			if err != nil {
				return err
			}
			defer w.close()
			return w.rotate(o)
		},
	}
	c.Flags().StringVar(&o.revoke, "revoke", "", "delete the old key of this `ID`")
	o.keyDeleteOptions.define(c)
	o.keyCreateOptions.define(c)
	return c
}

func (w keyWork) rotate(o keyRotateOptions) error {
	old := w.account.settings.KeyID.Text
	if o.revoke != "" {
		if o.revoke == old {
			return ui.Problemf(ui.UsageBadFlag, "key "+quote(old)+" is the one context "+quote(w.account.settings.Context.Text)+" signs with").
				Because("a new one has to be there before the old one goes").Try(w.aim("pubsubctl key rotate"))
		}
		return w.delete(o.revoke, o.keyDeleteOptions)
	}
	if o.dryRun {
		w.d.io.Note("would make a key in %s and have context %s sign with it", w.place(), w.account.settings.Context.Text)
		if w.d.flags.json {
			return w.d.output().Write(w.c.Context(), map[string]any{"previous": old, "dry_run": true})
		}
		return nil
	}
	k, err := w.create(o.keyCreateOptions)
	if err != nil {
		return err
	}
	o.save = true
	if err := w.deliver(k, o.keyCreateOptions, old); err != nil || old == "" {
		return err
	}
	w.d.io.Note("once new tokens are given out: %s", w.aim("pubsubctl key rotate --revoke "+pasteWord(old)))
	return nil
}
