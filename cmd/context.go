package cmd

import (
	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newContext(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:     "context",
		Aliases: []string{"ctx"},
		Short:   "Choose which service commands talk to",
		Long: "A context is a service with what is needed to talk to it: its address, its id,\n" +
			"and where its key is. The context local is built in: a relay on this machine.",
		Example:           "  pubsubctl context list\n  pubsubctl context use local",
		ValidArgsFunction: noCompletion,
		Args:              cobra.ArbitraryArgs,
		RunE:              showHelp,
		Annotations:       notes("help environment", noJSON("prints help")),
	}
	c.AddCommand(newContextList(d), newContextShow(d), newContextAdd(d), newContextUse(d), newContextDelete(d))
	return c
}

// contexts reads the contexts file.
func (d deps) contexts() (*config.Contexts, error) {
	path, _ := d.configPath()
	if path == "" {
		return nil, ui.Problemf(ui.ConfigUnreadable, "the user has no configuration directory").Try("pubsubctl --config FILE context list")
	}
	return config.ReadContexts(path)
}

// contextRow is a context as list and show print it.
type contextRow struct {
	Name      string `json:"name"`
	Current   bool   `json:"current"`
	URL       string `json:"url,omitempty"`
	ServiceID string `json:"service_id,omitempty"`
	KeyID     string `json:"key_id,omitempty"`
	KeySecret string `json:"key_secret,omitempty"`
	Token     string `json:"token,omitempty"`
	APIToken  string `json:"api_token,omitempty"`
	APIURL    string `json:"api_url,omitempty"`
	FastlyKey string `json:"fastly_key,omitempty"`
	Protected bool   `json:"protected"`
	BuiltIn   bool   `json:"built_in"`
}

// row describes a context with secrets masked.
func row(all *config.Contexts, name string) contextRow {
	c, _ := all.Get(name)
	return contextRow{
		Name: name, Current: all.Selected() == name, URL: c.URL, ServiceID: c.ServiceID, APIURL: c.APIURL,
		KeyID: c.Key.ID, KeySecret: c.Key.Secret.String(), Token: c.Token.String(), APIToken: c.APIToken.String(),
		FastlyKey: c.FastlyKey.String(), Protected: c.Protected, BuiltIn: !all.Saved(name),
	}
}

func newContextList(d deps) *cobra.Command {
	return &cobra.Command{
		Use:               "list",
		Short:             "List the contexts",
		Long:              "List the contexts. The one in use is marked with a star.",
		Example:           "  pubsubctl context list\n  pubsubctl context list --json\n  pubsubctl context list --jq '.contexts[].name'",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("context show, context use", jsonObject),
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := d.contexts()
			if err != nil {
				return err
			}
			rows := []contextRow{}
			for _, name := range all.Names() {
				rows = append(rows, row(all, name))
			}
			if d.flags.json {
				return d.output().Write(c.Context(), map[string]any{"current": all.Selected(), "contexts": rows})
			}
			return contextTable(rows).Print(d.io)
		},
	}
}

func contextTable(rows []contextRow) *ui.Table {
	t := &ui.Table{Header: []string{"", "NAME", "URL", "SERVICE", "KEY"}}
	for _, r := range rows {
		star := ""
		if r.Current {
			star = "*"
		}
		t.Add(star, r.Name, r.URL, r.ServiceID, r.KeyID)
	}
	return t
}

func newContextShow(d deps) *cobra.Command {
	var resolved bool
	c := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show one context, or what is in force",
		Long: "Show a context of the file, by default the one in use. With --resolved, show each\n" +
			"value that is in force here and now and where it comes from: flag, environment,\n" +
			"project file, context or default. Secrets are masked.",
		Example: "  pubsubctl context show\n" +
			"  pubsubctl context show local --json\n" +
			"  pubsubctl context show --resolved\n" +
			"  pubsubctl context show --resolved --url http://127.0.0.1:8000",
		Args:              argsRange(0, 1),
		ValidArgsFunction: completeContext(d),
		Annotations:       notes("context list, help environment", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case resolved && len(args) > 0:
				return usage(c, ui.UsageBadFlag, "--resolved shows what is in force, so it takes no name; select one with --context")
			case resolved:
				return showResolved(d, c)
			}
			return showContext(d, c, args)
		},
	}
	c.Flags().BoolVar(&resolved, "resolved", false, "show what is in force and where each value comes from")
	return c
}

func showContext(d deps, c *cobra.Command, args []string) error {
	all, err := d.contexts()
	if err != nil {
		return err
	}
	name := all.Selected()
	for _, given := range append([]string{d.env("PUBSUBCTL_CONTEXT"), d.flags.context}, args...) {
		if given != "" {
			name = given
		}
	}
	if _, ok := all.Get(name); !ok {
		return noContext(all, name)
	}
	r := row(all, name)
	if d.flags.json {
		return d.output().Write(c.Context(), r)
	}
	t := &ui.Table{}
	for _, line := range [...][2]string{{"name", r.Name}, {"url", r.URL}, {"service_id", r.ServiceID}, {"key_id", r.KeyID},
		{"key_secret", r.KeySecret}, {"token", r.Token}, {"fastly_key", r.FastlyKey}, {"api_token", r.APIToken}, {"api_url", r.APIURL}} {
		if line[1] != "" {
			t.Add(line[0], line[1])
		}
	}
	if r.Protected {
		t.Add("protected", "true")
	}
	return t.Print(d.io)
}

// noContext is for a context that a command is to act on and that is not there.
func noContext(all *config.Contexts, name string) error {
	return ui.Problemf(ui.NotFoundContext, "there is no context "+quote(name)).
		Because(all.Unknown(name).Detail).Try("pubsubctl context list")
}

func showResolved(d deps, c *cobra.Command) error {
	s, err := d.settings(c)
	if err != nil {
		return err
	}
	if d.flags.json {
		values := map[string]any{}
		for _, e := range s.List() {
			if e.Origin != "" {
				values[e.Name] = map[string]string{"value": e.Value, "origin": e.Origin}
			}
		}
		return d.output().Write(c.Context(), values)
	}
	t := &ui.Table{Header: []string{"SETTING", "VALUE", "FROM"}}
	for _, e := range s.List() {
		if e.Origin == "" {
			e.Value = "-"
		}
		t.Add(e.Name, e.Value, e.Origin)
	}
	return t.Print(d.io)
}
