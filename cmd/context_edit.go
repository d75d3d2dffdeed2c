package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// contextFlags are what context add sets; each given flag replaces one value.
type contextFlags struct {
	keyID, keySecret, apiToken, apiURL, fastlyKey string
	protected, use                                bool
}

func newContextAdd(d deps) *cobra.Command {
	var o contextFlags
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a context, or change one",
		Long: "Add a context to the contexts file. One that exists is changed: values that are\n" +
			"not named by a flag stay. Only the lines concerned are rewritten.",
		Example: "  pubsubctl context add chat --url https://chat-x7.edgecompute.app --key-id ab12cd34 --key-secret env:CHAT_KEY\n" +
			"  pubsubctl context add chat --service-id SU1Z0isxPaozGVKXdv0eY --api-token env:FASTLY_API_TOKEN\n" +
			"  pubsubctl context add chat --protected --use",
		Args:              argsExact("a name"),
		ValidArgsFunction: completeContext(d),
		Annotations:       notes("context use, help environment", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			return addContext(d, c, args[0], o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.keyID, "key-id", "", "`ID` of the signing key")
	f.StringVar(&o.keySecret, "key-secret", "", "where its value is: env:, keyring:, file:, cmd: or the value")
	f.StringVar(&o.apiToken, "api-token", "", "where the API token is: env:, keyring:, file: or cmd:")
	f.StringVar(&o.apiURL, "api-url", "", "`URL` of the platform's API, if not Fastly's own")
	f.StringVar(&o.fastlyKey, "fastly-key", "", "where the Fastly-Key is: env:, keyring:, file:, cmd: or the value")
	f.BoolVar(&o.protected, "protected", false, "ask for the service's name before anything destructive")
	f.BoolVar(&o.use, "use", false, "make it the current one")
	return c
}

func addContext(d deps, c *cobra.Command, name string, o contextFlags) error {
	if err := config.CheckName(name); err != nil {
		return usage(c, ui.UsageBadArgument, err.Error())
	}
	all, err := d.contexts()
	if err != nil {
		return err
	}
	ctx := config.Context{}
	if all.Saved(name) {
		ctx, _ = all.Get(name)
	}
	if err := o.apply(d, c, &ctx); err != nil {
		return err
	}
	if !all.Saved(name) && ctx == (config.Context{}) {
		return ui.Problemf(ui.UsageMissingArgument, "a new context needs something to hold").
			Try("pubsubctl context add " + pasteWord(name) + " --url https://HOST")
	}
	if err := all.Put(name, ctx); err != nil {
		return err
	}
	if o.use {
		if err := all.Use(name); err != nil {
			return err
		}
	}
	d.io.Note("saved context %s in %s", name, all.Path)
	if d.flags.json {
		return d.output().Write(c.Context(), row(all, name))
	}
	return nil
}

// apply puts the flags that were given into ctx.
func (o contextFlags) apply(d deps, c *cobra.Command, ctx *config.Context) error {
	if d.flags.url != "" {
		if err := config.CheckURL(d.flags.url); err != nil {
			return usage(c, ui.UsageBadFlag, "--url "+err.Error())
		}
	}
	if o.apiURL != "" {
		if err := config.CheckURL(o.apiURL); err != nil {
			return usage(c, ui.UsageBadFlag, "--api-url "+err.Error())
		}
	}
	set := func(flag string, to *string, value string) {
		if c.Flags().Changed(flag) {
			*to = value
		}
	}
	setRef := func(flag string, to *config.Ref, value string) {
		if c.Flags().Changed(flag) {
			*to = config.ParseRef(value)
		}
	}
	set("url", &ctx.URL, d.flags.url)
	set("service-id", &ctx.ServiceID, d.flags.serviceID)
	set("api-url", &ctx.APIURL, o.apiURL)
	set("key-id", &ctx.Key.ID, o.keyID)
	setRef("key-secret", &ctx.Key.Secret, o.keySecret)
	setRef("api-token", &ctx.APIToken, o.apiToken)
	setRef("fastly-key", &ctx.FastlyKey, o.fastlyKey)
	setRef("token", &ctx.Token, d.flags.token)
	if c.Flags().Changed("protected") {
		ctx.Protected = o.protected
	}
	return checkContext(c, *ctx)
}

// checkContext refuses what the contexts file would not take back.
func checkContext(c *cobra.Command, ctx config.Context) error {
	switch {
	case (ctx.Key.ID == "") != ctx.Key.Secret.IsZero():
		return usage(c, ui.UsageBadFlag, "a key needs both --key-id and --key-secret")
	case ctx.APIToken.IsLiteral():
		return ui.Problemf(ui.ConfigSecretLiteral, "an API token is not written into the file, only where it is").
			Because("--api-token takes env:NAME, keyring:NAME, file:PATH or cmd:PROGRAM").
			Try(c.CommandPath() + " NAME --api-token env:FASTLY_API_TOKEN")
	}
	for _, ref := range [...]config.Ref{ctx.Key.Secret, ctx.APIToken, ctx.FastlyKey, ctx.Token} {
		if ref.String() == "-" {
			return usage(c, ui.UsageBadFlag, "a context cannot read a secret from stdin each time it is used")
		}
	}
	return nil
}

func newContextUse(d deps) *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Short:             "Make a context the current one",
		Long:              "Make a context the one that commands use when nothing else selects one.",
		Example:           "  pubsubctl context use chat\n  pubsubctl context use local",
		Args:              argsExact("a name"),
		ValidArgsFunction: completeContext(d),
		Annotations:       notes("context list, context show", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			all, err := d.contexts()
			if err != nil {
				return err
			}
			if _, ok := all.Get(args[0]); !ok {
				return noContext(all, args[0])
			}
			if err := all.Use(args[0]); err != nil {
				return err
			}
			d.io.Note("context %s is current", args[0])
			if d.flags.json {
				return d.output().Write(c.Context(), row(all, args[0]))
			}
			return nil
		},
	}
}

func newContextDelete(d deps) *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Forget a context",
		Long: "Remove a context from the contexts file. The service itself, and secrets in a\n" +
			"keyring, stay. A protected context asks for its name first.",
		Example: "  pubsubctl context delete chat\n" +
			"  pubsubctl context delete chat --yes\n" +
			"  pubsubctl context delete prod --yes --confirm prod",
		Args:              argsExact("a name"),
		ValidArgsFunction: completeContext(d),
		Annotations:       notes("context list", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			return deleteContext(d, c, args[0], confirm)
		},
	}
	c.Flags().StringVar(&confirm, "confirm", "", "`NAME` of a protected context, once more")
	return c
}

func deleteContext(d deps, c *cobra.Command, name, confirm string) error {
	all, err := d.contexts()
	if err != nil {
		return err
	}
	ctx, ok := all.Get(name)
	switch {
	case !ok:
		return noContext(all, name)
	case !all.Saved(name):
		return usage(c, ui.UsageBadArgument, fmt.Sprintf("context %s is built in and cannot be deleted", quote(name)))
	}
	if err := confirmDelete(d, c, name, confirm, ctx.Protected); err != nil {
		return err
	}
	gone := row(all, name)
	if err := all.Delete(name); err != nil {
		return err
	}
	d.io.Note("deleted context %s", name)
	if d.flags.json {
		return d.output().Write(c.Context(), map[string]string{"deleted": gone.Name})
	}
	return nil
}

// confirmDelete asks, unless flags have answered.
func confirmDelete(d deps, c *cobra.Command, name, confirm string, protected bool) error {
	if !protected {
		if d.flags.yes {
			return nil
		}
		sure, err := d.io.Confirm(c.Context(), "delete context "+name+"?", "pubsubctl context delete "+name+" --yes")
		if err == nil && !sure {
			return ui.Problemf(ui.APIFailed, "not deleted")
		}
		return err
	}
	if confirm == "" && !d.flags.yes {
		typed, err := d.io.Ask(c.Context(), "context "+name+" is protected; type its name to delete it:", "pubsubctl context delete "+name+" --yes --confirm "+name)
		if err != nil {
			return err
		}
		confirm = typed
	}
	if confirm != name {
		return ui.Problemf(ui.UsageInputNotAllowed, "context "+quote(name)+" is protected and its name was not given").
			Try("pubsubctl context delete " + name + " --yes --confirm " + name)
	}
	return nil
}
