package cmd

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// check refuses flags that make no sense, alone or together.
func (o setupOptions) check(c *cobra.Command, d deps) error {
	given := func(flag string) bool { return c.Flags().Changed(flag) }
	for _, pair := range [...][2]string{{"name", "adopt"}, {"name", "service-id"}, {"adopt", "service-id"}, {"package", "source"}} {
		if given(pair[0]) && given(pair[1]) {
			return usage(c, ui.UsageBadFlag, "--"+pair[0]+" and --"+pair[1]+" exclude each other")
		}
	}
	for _, flag := range [...]string{"name", "adopt", "package", "source", "domain", "publish-token", "only", "app-url", "package-sha256"} {
		if given(flag) && c.Flags().Lookup(flag).Value.String() == "" {
			return usage(c, ui.UsageBadFlag, "--"+flag+" is empty")
		}
	}
	switch {
	case given("url"):
		return usage(c, ui.UsageBadFlag, "setup takes --app-url, not --url").Because("--url is where a service answers that is there already")
	case o.sha256 != "" && o.program == "":
		return usage(c, ui.UsageBadFlag, "--package-sha256 goes with --package")
	case o.sha256 != "" && !regexp.MustCompile("^[0-9a-fA-F]{64}$").MatchString(o.sha256):
		return usage(c, ui.UsageBadFlag, "--package-sha256 takes 64 hex digits")
	case len(o.name) > 255 || strings.ContainsFunc(o.name, func(r rune) bool { return r < ' ' }):
		return usage(c, ui.UsageBadFlag, quote(o.name)+" is not a name for a service")
	case o.domain != "" && !plainHost(o.domain):
		return usage(c, ui.UsageBadFlag, quote(o.domain)+" is not a domain").Because("a name such as events.example.com is wanted, without https:// and path")
	}
	if o.appURL != "" {
		if err := config.CheckURL(o.appURL); err != nil {
			return usage(c, ui.UsageBadFlag, "--app-url "+err.Error())
		}
	}
	return o.checkStep(c)
}

// plainHost reports whether text can be the name of a host with at least two labels.
func plainHost(text string) bool {
	label := `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
	return len(text) <= 253 && regexp.MustCompile(`(?i)^(`+label+`\.)+`+label+`$`).MatchString(text)
}

// checkStep is about --only, and flags that would say nothing beside it.
func (o setupOptions) checkStep(c *cobra.Command) error {
	if o.only == "" {
		return nil
	}
	if !slices.Contains(stepNames(), o.only) {
		p := usage(c, ui.UsageBadFlag, "there is no step "+quote(o.only))
		if near := closest(o.only, stepNames()); near != "" {
			return p.Because("did you mean " + near + "?")
		}
		return p.Because("there are: " + strings.Join(stepNames(), ", "))
	}
	for _, f := range [...]struct {
		flag  string
		steps []provision.Step // a new secret store needs a token, too
	}{
		{"package", []provision.Step{provision.StepPackage}}, {"source", []provision.Step{provision.StepPackage}},
		{"domain", []provision.Step{provision.StepDomain}}, {"config-item", []provision.Step{provision.StepConfigStore}},
		{"publish-token", []provision.Step{provision.StepPublishToken, provision.StepSecretStore}},
	} {
		if c.Flags().Changed(f.flag) && !slices.Contains(f.steps, provision.Step(o.only)) {
			return usage(c, ui.UsageBadFlag, fmt.Sprintf("--%s is for step %s, and --only %s is asked for", f.flag, f.steps[0], o.only))
		}
	}
	for flag, step := range map[string]provision.Step{"no-test": provision.StepSelfTest, "no-messages": provision.StepKVMessages} {
		if c.Flags().Changed(flag) && provision.Step(o.only) == step {
			return usage(c, ui.UsageBadFlag, fmt.Sprintf("--%s and --only %s exclude each other", flag, o.only))
		}
	}
	return nil
}

// switches are the items of --config-item.
func (o setupOptions) switches(c *cobra.Command) (map[string]bool, error) {
	all := map[string]bool{}
	for _, text := range o.items {
		name, value, _ := strings.Cut(text, "=")
		on := value == "true"
		if !on && value != "false" {
			return nil, usage(c, ui.UsageBadFlag, "--config-item takes NAME=true or NAME=false, not "+quote(text)).
				Because("the app takes exactly these two words, and answers nothing if it finds another")
		}
		if !slices.Contains([]string{"sse", "http-publish", "admin"}, name) {
			return nil, usage(c, ui.UsageBadFlag, "the app reads no switch "+quote(name)).Because("there are sse, http-publish and admin")
		}
		all[name] = on
	}
	return all, nil
}

// archive is the package that was asked for; nil for none.
func (o setupOptions) archive(ctx context.Context, d deps, a account) (*provision.Archive, error) {
	switch {
	case o.program != "":
		where := o.program
		if !provision.IsURL(where) {
			where = d.path(where)
		}
		stop := d.io.Spin("reading the package")
		defer stop()
		return provision.Load(ctx, provision.Source{Where: where, SHA256: o.sha256, HTTP: a.http})
	case o.source != "":
		stop := d.io.Spin("building " + o.source)
		defer stop()
		return provision.Builder{Dir: d.path(o.source), Environ: withoutCredentials(d.environ)}.Build(ctx)
	}
	return nil, nil
}

// withoutCredentials is an environment for a compiler, which needs none and runs
// code of many authors.
func withoutCredentials(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "FASTLY_") || strings.HasPrefix(name, "PUBSUBCTL_") || strings.Contains(name, "TOKEN") || strings.Contains(name, "SECRET")
	})
}

// token is the publish token that was given; empty for none. instead is the command
// for one that was given in a way it must not be.
func (o setupOptions) token(ctx context.Context, d deps, instead string) (config.Secret, error) {
	if o.publishToken == "" {
		return config.Secret{}, nil
	}
	ref := config.ParseRef(o.publishToken)
	if ref.IsLiteral() {
		return config.Secret{}, ui.Problemf(ui.ConfigSecretLiteral, "a token is not written on the command line").
			Because("other users of this machine could see it; --publish-token takes env:, keyring:, file:, cmd: or -").
			Try(instead)
	}
	text, err := d.secret(ctx, ref)
	return config.NewSecret(text), err
}

// again is the command line of this run with more flags: what goes on after an
// interruption, or would have answered a question.
func (w *setupWork) again(more ...string) string {
	return "pubsubctl setup" + flagsGiven(w.c, quietFlags()...) + joined(more)
}

// quietFlags are those that change what is said and not what is done.
func quietFlags() []string {
	return []string{"dry-run", "json", "jq", "quiet", "verbose", "log-format", "no-color", "no-input"}
}

// ownFlags are those that other commands do not have, or need not be told.
func ownFlags() []string {
	return append(quietFlags(), "name", "adopt", "package", "package-sha256", "source", "domain", "publish-token", "no-messages", "config-item",
		"no-test", "only", "app-url", "yes")
}

func joined(more []string) string {
	if len(more) == 0 {
		return ""
	}
	return " " + strings.Join(more, " ")
}

// inClear reports whether secrets cross a network unencrypted on the way to a URL.
func inClear(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !config.OnLoopback(address)
}

// boolText is a flag with a value that is a switch.
func boolText(flag, value string) string {
	if on, err := strconv.ParseBool(value); err == nil && !on {
		return "--" + flag + "=false"
	}
	return "--" + flag
}
