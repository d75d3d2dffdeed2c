package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// Secrets of a hosted service in tests; none may show where it does not belong.
const (
	hostedPublishToken = "publish-token-planted-secret"
	hostedKeySecret    = "signing-key-planted-secret"
	hostedDomain       = "chat.edgecompute.app"
)

// hostedService is a service on an imitated platform, with a relay as its app, and
// a home directory with a context for it.
type hostedService struct {
	fake    *fastlytest.Server
	relay   *relay.Server
	id      string
	home    string
	environ []string
	now     func() time.Time
}

// newHosted makes a service that is as setup would leave it.
func newHosted(t *testing.T) *hostedService {
	t.Helper()
	h := newAccount(t, fastlytest.Options{})
	h.build(t)
	h.writeContext(t, "")
	return h
}

// newAccount makes an account without a service, and an empty home directory.
func newAccount(t *testing.T, o fastlytest.Options) *hostedService {
	t.Helper()
	h := &hostedService{fake: fastlytest.New(o), home: t.TempDir(), now: time.Now}
	r, err := relay.Start(t.Context(), relay.Options{Platform: h.fake, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h.relay = r
	t.Cleanup(func() { stopRelay(t, r) })
	h.environ = []string{"HOME=" + h.home, "XDG_CONFIG_HOME=" + h.home, "XDG_STATE_HOME=" + h.home, "AppData=" + h.home, "LocalAppData=" + h.home,
		"NO_PROXY=*", "PUBSUBCTL_KEYRING=off", "PUBSUBCTL_YES=true", "PUBLISH_TOKEN=" + hostedPublishToken,
		"FASTLY_API_TOKEN=" + fastlytest.DefaultToken, "FASTLY_API_ENDPOINT=" + r.Ready().FastlyAPI, "FASTLY_USE_API_SIGNING_KEY=1"}
	return h
}

// api is the account, for what a test arranges.
func (h *hostedService) api(t *testing.T) fastly.API {
	t.Helper()
	c, err := fastly.New(fastly.Options{Token: config.NewSecret(fastlytest.DefaultToken), Endpoint: h.relay.Ready().FastlyAPI, SigningKey: h.fake.SigningKey()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// build makes the service by the platform's own calls.
func (h *hostedService) build(t *testing.T) {
	t.Helper()
	ctx, api := t.Context(), h.api(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := api.CreateService(ctx, "chat", "managed by pubsubctl install="+hostedInstall)
	must(err)
	h.id = s.ID
	must(api.EnableFanout(ctx, s.ID))
	must(api.CreateDomain(ctx, s.ID, 1, hostedDomain, ""))
	must(api.CreateBackend(ctx, s.ID, 1, provision.SelfBackend(hostedDomain)))
	must(api.CreateBackend(ctx, s.ID, 1, provision.APIBackend()))
	for link, kind := range map[string]fastly.Kind{"config": fastly.ConfigStore, "secrets": fastly.SecretStore, "keys": fastly.KVStore, "messages": fastly.KVStore} {
		store, err := api.CreateStore(ctx, kind, "pubsub_t_"+link)
		must(err)
		_, err = api.CreateLink(ctx, s.ID, 1, link, store.ID)
		must(err)
		switch link {
		case "keys":
			must(api.PutKVItem(ctx, store.ID, "k1", []byte(hostedKeySecret), true))
		case "secrets":
			_, err = api.PutSecret(ctx, store.ID, "publish-token", config.NewSecret(hostedPublishToken))
			must(err)
		}
	}
	h.fake.AddToken(fastlytest.Token{ID: "pt", Name: "publish", Value: hostedPublishToken, Scope: "purge_select", Services: []string{s.ID}, Automation: true})
	h.fake.Change(func(a *fastlytest.Account) {
		a.Services[0].Versions[0].Package = &fastlytest.Package{ID: "p", Name: "Pub/Sub", FilesHash: "hash"}
	})
	must(api.Activate(ctx, s.ID, 1))
}

// hostedInstall is the mark that ties the service to its ledger.
const hostedInstall = "installmark"

// writeContext saves the context chat; more is added to its table.
func (h *hostedService) writeContext(t *testing.T, more string) {
	t.Helper()
	text := fmt.Sprintf("version = 1\ncurrent = \"chat\"\n\n[contexts.chat]\nurl = %q\nservice_id = %q\napi_token = \"env:FASTLY_API_TOKEN\"\n"+
		"key = { id = \"k1\", secret = %q }\n%s", h.relay.Ready().Hub, h.id, hostedKeySecret, more)
	h.write(t, filepath.Join("pubsubctl", "config.toml"), text)
}

func (h *hostedService) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(h.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// active lets f change the active version of the service.
func (h *hostedService) active(f func(a *fastlytest.Account, v *fastlytest.Version)) {
	h.fake.Change(func(a *fastlytest.Account) { f(a, a.Services[0].Versions[0]) })
}

// run runs one command line in the home directory of the service.
func (h *hostedService) run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return h.runWith(t, "", args...)
}

// runWith is run with something on stdin.
func (h *hostedService) runWith(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o bytes.Buffer
	e := newWatched() // log lines are written by a goroutine of their own
	s := ui.Buffers(ui.EnvOf(h.environ), nil, &o, e)
	if stdin != "" {
		s = ui.Buffers(ui.EnvOf(h.environ), strings.NewReader(stdin), &o, e)
	}
	code = Run(context.WithoutCancel(t.Context()), Invocation{Args: args, Environ: h.environ, Dir: h.home, Streams: s, Now: h.now})
	errs, _ = e.look()
	for _, secret := range []string{hostedPublishToken, hostedKeySecret} {
		if strings.Contains(o.String()+errs, secret) {
			t.Errorf("%v shows a secret:\n%s%s", args, &o, errs)
		}
	}
	return code, o.String(), errs
}

// setenv replaces a variable of the commands.
func (h *hostedService) setenv(name, value string) {
	h.environ = slices.DeleteFunc(h.environ, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	h.environ = append(h.environ, name+"="+value)
}

// diagnosis runs doctor and gives what it found, by check.
func (h *hostedService) diagnosis(t *testing.T, args ...string) (code int, found map[string]findingJSON) {
	t.Helper()
	code, out, errs := h.run(t, append([]string{"doctor", "--json"}, args...)...)
	var all diagnosisJSON
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("exit %d: %v\n%s%s", code, err, out, errs)
	}
	found = map[string]findingJSON{}
	for _, f := range all.Checks {
		found[f.Name] = f
	}
	return code, found
}

// wrong are the checks that found something.
func wrong(found map[string]findingJSON) []string {
	var names []string
	for name, f := range found {
		if f.Status == provision.StatusFail || f.Status == provision.StatusWarn {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// readHome reads a file of the home directory.
func readHome(t *testing.T, h *hostedService, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.home, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
