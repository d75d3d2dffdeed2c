package cmd

import (
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// globals are the flags every command has.
type globals struct {
	context, url, serviceID, token string
	json                           bool
	jq                             string
	quiet                          bool
	verbose                        int
	logFormat                      string
	noColor, noInput, yes          bool
	requestTimeout                 ui.Duration
	config                         string

	query *ui.Query // jq, compiled when the flags are settled
}

func (g *globals) define(root *cobra.Command) {
	g.logFormat, g.requestTimeout = "text", ui.Duration(30*time.Second)
	f := root.PersistentFlags()
	f.StringVarP(&g.context, "context", "c", "", "use the context of this `NAME`")
	f.StringVar(&g.url, "url", "", "`URL` of the service, such as http://127.0.0.1:7999")
	f.StringVar(&g.serviceID, "service-id", "", "`ID` of the Compute service")
	f.StringVar(&g.token, "token", "", "present this `JWT`, or the one env:, keyring:, file:, cmd: or - names")
	f.BoolVar(&g.json, "json", false, "print only JSON on stdout")
	f.StringVar(&g.jq, "jq", "", "filter the JSON with this `EXPR`; implies --json")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print nothing but errors on stderr")
	f.CountVarP(&g.verbose, "verbose", "v", "say more on stderr; -vv shows each request")
	f.StringVar(&g.logFormat, "log-format", g.logFormat, "how log lines look: text or json")
	f.BoolVar(&g.noColor, "no-color", false, "no colour")
	f.BoolVar(&g.noInput, "no-input", false, "never ask, fail instead")
	f.BoolVarP(&g.yes, "yes", "y", false, "agree to confirmations")
	f.Var(&g.requestTimeout, "request-timeout", "how long one request may take")
	f.StringVar(&g.config, "config", "", "read contexts from this `FILE`")
	root.Flags().SortFlags = false
	f.SortFlags = false
}

// fromConfig tells the flags whose variables config.Resolve reads itself.
func fromConfig(flag string) bool {
	switch flag {
	case "context", "url", "service-id", "token":
		return true
	}
	return false
}

// fill sets global flags that are not on the command line from the environment.
func (g *globals) fill(flags *pflag.FlagSet, env ui.Env) error {
	var bad error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value := env(name)
		if bad != nil || f.Changed || value == "" || fromConfig(f.Name) {
			return
		}
		if err := f.Value.Set(value); err != nil {
			bad = &config.Error{Reason: config.BadValue, Text: name + " has a value that --" + f.Name + " does not take", Err: err}
		}
	})
	return bad
}

// variable is the environment variable of a global flag.
func variable(flag string) string {
	return "PUBSUBCTL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settle makes the flags final: environment, checks, streams, log level.
func (d deps) settle(root *cobra.Command, level *logSwitch) error {
	g := d.flags
	if err := g.fill(root.PersistentFlags(), d.env); err != nil {
		return err
	}
	if g.logFormat != "text" && g.logFormat != "json" {
		return ui.Problemf(ui.UsageBadFlag, "--log-format takes text or json, not "+quote(g.logFormat))
	}
	if g.requestTimeout == 0 {
		return ui.Problemf(ui.UsageBadFlag, "--request-timeout must be above zero").Because("every request has a limit")
	}
	if g.jq != "" {
		q, err := ui.CompileQuery(g.jq)
		if err != nil {
			return ui.Problemf(ui.UsageBadFlag, "--jq is not a valid expression").Because(err.Error())
		}
		g.query, g.json = q, true
	}
	d.io.Settle(ui.Settings{JSON: g.json, Quiet: g.quiet, NoColor: g.noColor, NoInput: g.noInput, Verbose: g.verbose})
	level.set(d.io, g)
	return nil
}

// configPath is the contexts file, and whether the user named it.
func (d deps) configPath() (path string, explicit bool) {
	path = d.flags.config
	if path == "" {
		path = d.env("PUBSUBCTL_CONFIG") // completion comes here before the flags are settled
	}
	if path == "" {
		return config.DefaultPath(runtime.GOOS, d.env), false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.dir, path)
	}
	return path, true
}
