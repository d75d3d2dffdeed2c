package cmd

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// fastlyAPI is the address of the platform's API unless the environment names one.
const fastlyAPI = "https://api.fastly.com"

// readBody takes the body of an item: the argument, or stdin if the user says so
// or feeds us something.
func (o gripOptions) readBody(ctx context.Context, d deps) ([]byte, error) {
	named := len(o.body) > 0
	if named && o.body[0] != "-" {
		return []byte(o.body[0]), nil
	}
	missing := func(why string) error {
		return ui.Problemf(ui.UsageMissingInput, "no body given").Because(why).
			Try("pubsubctl grip publish " + pasteWord(o.item.Channel) + " 'hello'")
	}
	if !named && !d.io.InData {
		return nil, missing("stdin is not a pipe or a file")
	}
	body, err := readWhole(ctx, d.io.In, maxItem)
	switch {
	case err != nil:
		return nil, err
	case len(body) == 0 && !named:
		return nil, missing("stdin is empty")
	case len(body) > maxItem:
		return nil, ui.Problemf(ui.UsageTooLarge, "the body is larger than any publish endpoint takes")
	}
	return body, nil
}

// gripTarget is where items go: the flag, else what a context that was named on
// the command line says, else GRIP_URL, else the context. Its credentials are
// redacted from then on.
func (d deps) gripTarget(c *cobra.Command, flag string) (*client.GripTarget, error) {
	named := c.Flags().Changed("context") || c.Flags().Changed("service-id")
	from, text := "--grip-url", flag
	if text == "" && !named {
		from, text = "GRIP_URL", d.env("GRIP_URL")
	}
	switch {
	case text != "":
	case c.Flags().Changed("url") && !c.Flags().Changed("service-id"):
		// It would go to the relay at the usual place, or to the context's service.
		return nil, ui.Problemf(ui.UsageBadFlag, "--url does not say where items are published").
			Because("it is the address of the app; a relay takes items at its control address").
			Try("pubsubctl grip publish --grip-url http://" + defaultControl + " CHANNEL BODY")
	default:
		return d.contextTarget(c)
	}
	t, err := client.ParseGripURL(text)
	if err != nil {
		code := ui.ConfigBadURL
		if from == "--grip-url" {
			code = ui.UsageBadFlag
		}
		return nil, ui.Problemf(code, from+" is not usable").Because(err.Error()).
			Try("pubsubctl grip publish --grip-url http://127.0.0.1:5561 CHANNEL BODY")
	}
	return d.hide(t), nil
}

func (d deps) hide(t *client.GripTarget) *client.GripTarget {
	for _, secret := range t.Secrets() {
		d.io.Secrets.Add(secret)
	}
	return t
}

// contextTarget publishes where the context is: beside a relay on this machine,
// or through the API of a hosted service.
func (d deps) contextTarget(c *cobra.Command) (*client.GripTarget, error) {
	s, err := d.settings(c)
	if err != nil {
		return nil, err
	}
	if config.OnLoopback(s.URL.Text) && !standsIn(s) {
		return relayTarget(s)
	}
	switch {
	case !s.ServiceID.IsSet():
		return nil, ui.Problemf(ui.ConfigMissingURL, "it is not known where to publish").
			Because("context " + quote(s.Context.Text) + " has no service_id, and there is no GRIP_URL").
			Try("pubsubctl grip publish --grip-url URL CHANNEL BODY")
	case !s.APIToken.IsSet():
		return nil, ui.Problemf(ui.ConfigMissingKey, "no API token is known to publish to service "+s.ServiceID.Text).
			Because("neither FASTLY_API_TOKEN nor context " + quote(s.Context.Text) + " has one").
			Try("pubsubctl context show --resolved")
	}
	token, err := d.secret(c.Context(), s.APIToken.Ref())
	if err != nil {
		return nil, err
	}
	api := fastlyAPI
	if s.APIURL.IsSet() {
		api = s.APIURL.Text
	}
	t, err := client.ServiceTarget(api, s.ServiceID.Text, token)
	if err != nil {
		return nil, ui.Problemf(ui.ConfigBadURL, "the address of the API is not usable").
			Because("it comes from " + s.APIURL.Origin.String())
	}
	return d.hide(t), nil
}

// standsIn reports whether an address on this machine is that of a service all the
// same: one context names both, or the command line insists on the service. What a
// directory or a variable says about a service is not about this address.
func standsIn(s *config.Settings) bool {
	service := s.ServiceID.Origin.Level
	return service == config.Flag || service == config.FromContext && s.URL.Origin.Level == config.FromContext
}

// relayTarget is beside the relay at its usual place. Where another relay takes
// items is not to be seen from the address of its app.
func relayTarget(s *config.Settings) (*client.GripTarget, error) {
	_, usual, _ := net.SplitHostPort(defaultListen)
	if u, err := url.Parse(s.URL.Text); err != nil || u.Port() != usual {
		return nil, ui.Problemf(ui.ConfigMissingURL, "it is not known where to publish").
			Because(s.URL.Text + " (" + s.URL.Origin.String() + ") is not the usual relay, and does not tell its control address").
			Try("pubsubctl grip publish --grip-url http://127.0.0.1:PORT CHANNEL BODY")
	}
	return client.ParseGripURL("http://" + defaultControl)
}

// gripProblem explains why an item was not taken.
func gripProblem(err error, target *client.GripTarget, timeout time.Duration) error {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	p := ui.Problem{Code: ui.Code(e.Code()), Chain: err, Why: evidence(e)}
	at := target.String()
	text := "the endpoint " + at + " did not take the item"
	switch e.Category {
	case client.CategoryAuth:
		text = "the endpoint " + at + " refuses the credential"
		p.Why += "; GRIP_URL carries the key as ?key=, the context as its api_token"
	case client.CategoryNotFound:
		text = at + " is no publish endpoint"
		p.Why += "; the path of the GRIP URL is wrong, or another server answers there"
	case client.CategoryTimeout:
		text, p.Why = "no answer from "+at+" within "+ui.FormatDuration(timeout), ""
	case client.CategoryNetwork:
		text, p.Why = "cannot reach "+at, innermost(e)
		if config.OnLoopback(at) {
			p.Next = "pubsubctl relay"
		}
	}
	if e.Reason == "too_large" {
		text = "the item is larger than " + at + " takes"
	}
	p.Err = errors.New(strings.TrimSpace(text))
	return p
}
