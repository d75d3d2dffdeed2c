package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// How forwarded requests are signed unless told otherwise: as Pushpin's example
// configuration does it, which the examples of GRIP libraries expect.
const (
	defaultSigIssuer = "pushpin"
	defaultSigKey    = "changeme"
)

// originOptions are the flags about origins, and about publishing to what they hold.
type originOptions struct {
	routes            []string
	file              string
	sigIssuer, sigKey string
	sigKeyGiven       bool
	routeHeader       bool
	noFirstUpdate     bool
	publishKey        string
	publishLimit      ui.Size
}

func (o *originOptions) define(f *pflag.FlagSet) {
	f.StringArrayVar(&o.routes, "route", nil, "forward what matches, as `'PATTERN TARGET'` in Pushpin's syntax; repeatable")
	f.StringVar(&o.file, "routes", "", "`FILE` of such routes; read again when it changes")
	f.BoolVar(&o.routeHeader, "route-header", false, "let the header Pushpin-Route choose a route by its id")
	f.BoolVar(&o.noFirstUpdate, "no-first-update", false, "do not ask origins again a second after a channel's first subscriber")
	f.StringVar(&o.sigIssuer, "sig-iss", defaultSigIssuer, "`ISSUER` in Grip-Sig, the signature of forwarded requests; empty: unsigned")
	f.StringVar(&o.sigKey, "sig-key", defaultSigKey, "key of Grip-Sig, a `REF`: a secret, base64:SECRET, or PEM")
	f.StringVar(&o.publishKey, "publish-key", "", "require this key, a `REF`, on the publish API")
	f.Var(&o.publishLimit, "publish-limit", "`SIZE` of a publish request at most (default 1000000 bytes)")
}

func (o *originOptions) mark(f *pflag.FlagSet) { o.sigKeyGiven = f.Changed("sig-key") }

func completeOriginFlags(c *cobra.Command) {
	completeWords(c, "route", "* localhost:8000,over_http")
	_ = c.MarkFlagFilename("routes")
}

// apply sets what the flags say, secrets looked up.
func (o *originOptions) apply(ctx context.Context, d deps, opt *relay.Options) (err error) {
	opt.Routes, opt.RoutesFile, opt.RouteHeader = o.routes, d.path(o.file), o.routeHeader
	opt.NoFirstUpdate = o.noFirstUpdate
	opt.SigIssuer, opt.SigKey = o.sigIssuer, o.sigKey
	opt.Debug, opt.ForwardedProto = true, relay.ProtoOnly
	opt.PublishLimit, opt.ServicePublishLimit = int64(o.publishLimit), int64(o.publishLimit)
	// The key that everybody knows is not redacted: it is a word of this program.
	if o.sigKeyGiven && o.sigKey != "" {
		if opt.SigKey, err = d.secret(ctx, config.ParseRef(o.sigKey)); err != nil {
			return err
		}
	}
	if o.publishKey != "" {
		opt.PublishKey, err = d.secret(ctx, config.ParseRef(o.publishKey))
	}
	return err
}

// greetOrigins says what an origin has to know, and how to publish to what it
// holds.
func (d deps) greetOrigins(r relay.Ready, o relayOptions) {
	if len(o.origins.routes) == 0 && o.origins.file == "" && o.app != "none" {
		return
	}
	switch {
	case o.origins.sigIssuer == "" || o.origins.sigKey == "":
		d.io.Note("signed    no")
	case o.origins.sigKeyGiven:
		d.io.Note("signed    iss %s, the key of --sig-key", o.origins.sigIssuer)
	default:
		d.io.Note("signed    iss %s, key %s", o.origins.sigIssuer, defaultSigKey)
	}
	if r.Control == "" || o.origins.publishKey != "" {
		return
	}
	_, _ = fmt.Fprintf(d.io.Err, `
Paste into another terminal to publish to the streams on channel test:

  curl -d '{"items":[{"channel":"test","formats":{"http-stream":{"content":"hello\n"}}}]}' %s/publish/
`, r.Control)
	if o.app == "none" {
		_, _ = fmt.Fprintln(d.io.Err)
	}
}

// originProblem gives the errors about origins their advice; others pass.
func originProblem(err error) error {
	var route *relay.RouteError
	var key *relay.SigKeyError
	switch {
	case errors.As(err, &key):
		return ui.Problemf(ui.ConfigBadValue, "the key of Grip-Sig cannot be used").Because(key.Err.Error()).
			Try("pubsubctl relay --sig-key env:NAME").From(err)
	case !errors.As(err, &route):
		return err
	case route.File == "":
		return ui.Problemf(ui.UsageBadFlag, "--route does not take "+quote(route.Text)).Because(route.Err.Error()).
			Try("pubsubctl relay --route '* localhost:8000,over_http'").From(err)
	case route.Line == 0:
		return ui.Problemf(ui.FilesystemRead, "cannot read the routes in "+route.File).Because(innermost(route.Err)).From(err)
	}
	return ui.Problemf(ui.ConfigBadValue, fmt.Sprintf("%s, line %d is no route: %s", route.File, route.Line, quote(route.Text))).
		Because(route.Err.Error()).Try("pubsubctl help relay").From(err)
}

// gripURL is where GRIP libraries publish to a relay, with the key it wants.
func gripURL(control, key string) string {
	if control == "" || key == "" {
		return control
	}
	return control + "/?" + url.Values{"key": {key}}.Encode()
}
