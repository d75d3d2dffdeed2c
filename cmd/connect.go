package cmd

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// mintedFor is how long a token lives that a command signs for itself.
const mintedFor = time.Hour

// need lists the topics a command reads and writes, so that the token it signs
// allows just these.
type need struct {
	read, write []string
}

// connection is what a command talks to.
type connection struct {
	// url is the address of the service without a slash at its end.
	url string
	// token gives the credential for a request that starts now: the one given,
	// or one signed for the need. It may be called from any goroutine, once per
	// connection or request; it signs anew each time.
	token func() (string, error)
	// tokenFor is token for another need; a token that was given is the same for all.
	tokenFor func(need) func() (string, error)
	// minted says that tokens are signed here, so a refused one is not for want
	// of a topic in it.
	minted bool
	// keyID is the key they are signed with, empty if the token was given.
	keyID string
	// settings are all values and where they came from.
	settings *config.Settings
	// aim makes a command concern the same context, for what is told to be run next.
	aim func(command string) string
	// timeout is for one request, userAgent for all.
	timeout   time.Duration
	userAgent string
}

// next is a command that concerns the context of the connection.
func (c connection) next(command string) string {
	if c.aim == nil {
		return command
	}
	return c.aim(command)
}

// connect resolves the address and the credential for what c needs. Secrets are
// looked up here and added to those that are redacted from now on.
func (d deps) connect(ctx context.Context, c *cobra.Command, n need) (connection, error) {
	s, err := d.settings(c)
	if err != nil {
		return connection{}, err
	}
	if !s.URL.IsSet() {
		return connection{}, d.noURL(s)
	}
	if err := s.CheckRedirect(); err != nil {
		return connection{}, err
	}
	conn := connection{url: s.URL.Text, settings: s, aim: d.completeFix(s), timeout: d.flags.requestTimeout.D(), userAgent: userAgent()}
	if s.UseToken() {
		conn.tokenFor, err = d.givenToken(ctx, s)
	} else {
		conn.minted, conn.keyID = true, s.KeyID.Text
		conn.tokenFor, err = d.signedToken(ctx, s)
	}
	if err == nil {
		conn.token = conn.tokenFor(n)
	}
	return conn, err
}

// tokenOnStdin reports whether the token is to be read from stdin, as far as a
// flag or a variable says so; a context cannot.
func (d deps) tokenOnStdin() bool {
	return d.flags.token == "-" || d.flags.token == "" && d.env("PUBSUBCTL_TOKEN") == "-"
}

// noURL is for a context that leads nowhere.
func (d deps) noURL(s *config.Settings) error {
	return ui.Problemf(ui.ConfigMissingURL, "no address of a service is known").
		Because("context " + quote(s.Context.Text) + " has no url").Try("pubsubctl context add " + s.Context.Text + " --url URL")
}

// givenToken presents the token of the settings as it is.
func (d deps) givenToken(ctx context.Context, s *config.Settings) (func(need) func() (string, error), error) {
	ref := s.Token.Ref()
	if ref.IsLiteral() && s.Token.Origin.Level == config.Flag && d.io.ErrTTY {
		d.io.Warn("other users of this machine can see a token on the command line; env:NAME or file:PATH hides it")
	}
	tok, err := d.secret(ctx, ref)
	if err != nil {
		return nil, err
	}
	given := func() (string, error) { return tok, nil }
	return func(need) func() (string, error) { return given }, nil
}

// signedToken signs a token of its own for each call.
func (d deps) signedToken(ctx context.Context, s *config.Settings) (func(need) func() (string, error), error) {
	id, secret, err := d.signingKey(ctx, s)
	if err != nil {
		return nil, err
	}
	return func(n need) func() (string, error) {
		return func() (string, error) {
			return token.Mint(token.MintOptions{KeyID: id, Secret: []byte(secret),
				Read: n.read, Write: n.write, Expires: d.now().Add(mintedFor)})
		}
	}, nil
}

// signingKey gives the key of the settings, its secret looked up.
func (d deps) signingKey(ctx context.Context, s *config.Settings) (id, secret string, err error) {
	if !s.KeyID.IsSet() {
		return "", "", ui.Problemf(ui.ConfigMissingKey, "neither a token nor a key to sign one with is known").
			Because("context " + quote(s.Context.Text) + " has no key").Try("pubsubctl context add " + s.Context.Text + " --key-id ID --key-secret REF")
	}
	secret, err = d.secret(ctx, s.KeySecret.Ref())
	return s.KeyID.Text, secret, err
}

// secret looks a reference up and has its value redacted in whatever is printed
// from now on.
func (d deps) secret(ctx context.Context, ref config.Ref) (string, error) {
	found, err := ref.Resolve(ctx, d.lookup())
	if err != nil {
		return "", err
	}
	d.io.Secrets.Add(found.Reveal())
	return found.Reveal(), nil
}

// output is where a command writes its JSON: through --jq, or as it is.
func (d deps) output() *ui.Output { return ui.NewOutput(d.io.Out, d.flags.query, nil) }
