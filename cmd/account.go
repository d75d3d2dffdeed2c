package cmd

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// account is what a command about a hosted service works with.
type account struct {
	settings *config.Settings
	// api is nil where there is no API token, or no hosted service.
	api fastly.API
	// token is the API token's value, endpoint where it is good.
	token    config.Secret
	endpoint string
	// book has what setup has noted of services at the endpoint; ledger is that of
	// the service, nil if there is none or it cannot be read. Without a home
	// directory there is no book.
	book   *provision.Book
	ledger *provision.Ledger
	// unread is why the ledger cannot be read.
	unread error
	// http carries requests to the platform and to the app.
	http *http.Transport
	// aim makes a command concern the same service, for what is told to be run next.
	aim func(command string) string
	// tokenless is why there is no API token although the context names one.
	tokenless string
}

// account resolves the settings of c and, where they name a hosted service and an
// API token, the way to the platform.
func (d deps) account(ctx context.Context, c *cobra.Command) (account, error) {
	s, err := d.settings(c)
	if err != nil {
		return account{}, err
	}
	a, err := d.accountOf(s)
	if err != nil || !hosted(s) || !s.APIToken.IsSet() {
		return a, err
	}
	return a, a.open(ctx, d)
}

// sighted is account for commands that look from outside where they must: an API
// token that the context names and that is not there counts as none.
func (d deps) sighted(ctx context.Context, c *cobra.Command) (account, error) {
	a, err := d.account(ctx, c)
	e, is := errors.AsType[*config.Error](err)
	if !is || e.Reason != config.SecretMissing || a.settings == nil || a.settings.APIToken.Origin.Level != config.FromContext {
		return a, err
	}
	a.tokenless = e.Text
	return a, nil
}

// accountOf is what is known of the account without a look at secrets.
func (d deps) accountOf(s *config.Settings) (account, error) {
	if err := s.CheckRedirect(); err != nil {
		return account{}, err
	}
	a := account{settings: s, endpoint: fastlyAPI, http: client.NewHTTP(8), aim: d.completeFix(s)}
	if s.APIURL.IsSet() {
		a.endpoint = s.APIURL.Text
	}
	if dir := config.StateDir(runtime.GOOS, d.env); dir != "" {
		a.book = provision.OpenBook(dir, a.endpoint, d.now)
		a.ledger, a.unread = a.book.Of(s.ServiceID.Text) // who needs it reads it again and says why not
	}
	return a, nil
}

// open looks the API token up and makes the way to the platform.
func (a *account) open(ctx context.Context, d deps) error {
	token, err := d.secret(ctx, a.settings.APIToken.Ref())
	if err != nil {
		return err
	}
	a.token = config.NewSecret(token)
	api, err := a.as(d, a.token)
	if err != nil {
		return ui.Problemf(ui.ConfigBadURL, "the API token is not sent to "+a.endpoint).Because(err.Error()).
			Try(a.aim("pubsubctl context show --resolved"))
	}
	a.api = api
	return nil
}

// as is the platform as a token sees it. An imitation on this machine encrypts
// with a key of its own, which is taken as it is.
func (a *account) as(d deps, token config.Secret) (fastly.API, error) {
	return fastly.New(fastly.Options{
		Token: token, Endpoint: a.endpoint, HTTP: a.http, UserAgent: userAgent(), Log: d.log,
		Timeout: d.flags.requestTimeout.D(), Clock: fastly.Clock{Now: d.now},
		TrustAPIKey: d.env("FASTLY_USE_API_SIGNING_KEY") != "" || config.OnLoopback(a.endpoint),
	})
}

// hosted reports whether the settings are about a service of the platform. A
// fastly.toml that lies about, or a variable for another program, makes none of a
// relay on this machine.
func hosted(s *config.Settings) bool {
	switch {
	case !s.ServiceID.IsSet():
		return false
	case s.ServiceID.Origin.Level == config.Flag, !config.OnLoopback(s.URL.Text):
		return true
	}
	return s.ServiceID.Origin.Level == config.FromContext || s.ServiceID.Origin.Level == config.Environment && s.URL.Origin.Level != config.Default
}

// appKey is what the app may be shown as Fastly-Key: the one of the settings, or
// the API token, but that only where the address is proven to be the service's:
// this machine, or one of its domains with TLS.
func (a account) appKey(ctx context.Context, d deps, domains []string) (string, error) {
	s := a.settings
	if s.FastlyKey.IsSet() {
		return d.secret(ctx, s.FastlyKey.Ref())
	}
	u, err := url.Parse(s.URL.Text)
	if err != nil || a.api == nil {
		return "", nil
	}
	ours := config.OnLoopback(s.URL.Text)
	for _, name := range domains {
		ours = ours || u.Scheme == "https" && u.Hostname() == name
	}
	if !ours {
		return "", nil
	}
	return a.token.Reveal(), nil
}

// defineAPIFlags adds the flag that config.Resolve reads for the platform's address.
func defineAPIFlags(c *cobra.Command) {
	c.Flags().String("api-url", "", "`URL` of the platform's API")
}
