package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/relay"
)

// Secrets that a test plants; none may show where it does not belong.
const plantedToken = "planted-publish-token"

// rig is an imitated account with a relay as the edge, and a machine with a
// directory for ledgers and what KeepKey has kept.
type rig struct {
	t     *testing.T
	fake  *fastlytest.Server
	relay *relay.Server
	http  *gate
	spec  Spec
	env   Env
	kept  []Key
	seen  []StepReport
	warns []string
}

// gate carries all requests, and kills the run at one of them.
type gate struct {
	under http.RoundTripper
	// at is the request to die at, from 1; 0 for none. after says that it is made and
	// its answer is never read.
	at    int
	after bool
	// event happens at request eventAt, before it is sent.
	eventAt int
	event   func()

	mu    sync.Mutex // guards the following
	count int
	calls []string
}

// RoundTrip implements http.RoundTripper. What it stands for is the death of the
// process: from then on nothing comes of any request.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.count++
	n := g.count
	g.calls = append(g.calls, r.Method)
	g.mu.Unlock()
	if g.event != nil && n == g.eventAt {
		g.event()
	}
	if g.at > 0 && (n > g.at || n == g.at && !g.after) {
		runtime.Goexit()
	}
	resp, err := g.under.RoundTrip(r)
	if g.at > 0 && n == g.at {
		if err == nil {
			_ = resp.Body.Close()
		}
		runtime.Goexit()
	}
	return resp, err
}

// on has something happen at a request. No request may be under way.
func (g *gate) on(n int, event func()) { g.eventAt, g.event = n, event }

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, fastlytest.Options{})
}

func newRigWith(t *testing.T, o fastlytest.Options) *rig {
	t.Helper()
	r := &rig{t: t, fake: fastlytest.New(o)}
	var err error
	if r.relay, err = relay.Start(context.Background(), relay.Options{Platform: r.fake, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.relay.Shutdown(ctx)
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	r.http = &gate{under: transport}
	r.spec = Spec{Name: "chat", Messages: true, Test: true, AppURL: r.relay.Ready().Hub, Package: appPackage(t, "1")}
	r.restart()
	r.fake.AddToken(fastlytest.Token{ID: "pt", Value: plantedToken, Scope: "purge_select", Automation: true})
	r.spec.PublishToken = config.NewSecret(plantedToken)
	return r
}

// restart is a new process on the same machine.
func (r *rig) restart() {
	dir := filepath.Join(r.t.TempDir(), "state")
	if r.env.Book != nil {
		dir = r.env.Book.Dir
	}
	r.http = &gate{under: r.http.under}
	r.seen, r.warns = nil, nil
	r.env = Env{
		Endpoint: r.relay.Ready().FastlyAPI, Operator: config.NewSecret(fastlytest.DefaultToken), Book: &Book{Dir: dir, Now: time.Now, flush: func(*os.File) error { return nil }},
		As:    func(token config.Secret) (fastly.API, error) { return r.api(token) },
		Look:  Look{HTTP: r.http, UserAgent: "test", Timeout: 5 * time.Second, Now: time.Now},
		Watch: r,
		KeepKey: func(_ context.Context, report *Report, k Key) error {
			report.Context = "chat"
			r.kept = append(r.kept, k)
			return nil
		},
		SelfTest: func(context.Context, *Report) (string, error) {
			if len(r.kept) == 0 {
				return "", errors.New("no key is kept")
			}
			return "passed", nil
		},
	}
	api, err := r.api(r.env.Operator)
	if err != nil {
		r.t.Fatal(err)
	}
	r.env.API = api
}

func (r *rig) api(token config.Secret) (*fastly.Client, error) {
	return fastly.New(fastly.Options{Token: token, Endpoint: r.relay.Ready().FastlyAPI, HTTP: r.http, SigningKey: r.fake.SigningKey(),
		Timeout: 5 * time.Second, Clock: fastly.Clock{Sleep: func(context.Context, time.Duration) error { return nil }}})
}

// Begin implements Watcher.
func (r *rig) Begin(Step) {}

// End implements Watcher.
func (r *rig) End(s StepReport) { r.seen = append(r.seen, s) }

// Warn implements Watcher.
func (r *rig) Warn(text string) { r.warns = append(r.warns, text) }

// setup is one run of the command. It reports killed if the gate ended it.
func (r *rig) setup() (report *Report, plan *Plan, err error) {
	unlock, err := r.env.Book.Lock()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if plan, err = Prepare(r.t.Context(), r.env, r.spec); err != nil {
		return nil, nil, err
	}
	report, err = Apply(r.t.Context(), r.env, r.spec, plan)
	return report, plan, err
}

// die runs setup, which the gate is to kill at request n.
func (r *rig) die(n int, after bool) {
	r.http.at, r.http.after = n, after
	ended := make(chan struct{})
	go func() { // ends itself, as the process would
		defer close(ended)
		_, _, _ = r.setup()
	}()
	<-ended
}

// must runs setup, which has to succeed.
func (r *rig) must() (*Report, *Plan) {
	r.t.Helper()
	report, plan, err := r.setup()
	if err != nil {
		r.t.Fatalf("%v\n%s", err, r.story())
	}
	return report, plan
}

// story is what was asked of the platform, for messages.
func (r *rig) story() string {
	var b strings.Builder
	for _, q := range r.fake.Requests() {
		if q.Write() {
			fmt.Fprintf(&b, "%s %s: %d %s\n", q.Method, q.Path, q.Status, q.Fault)
		}
	}
	return b.String()
}

// writes are the changing requests since they were forgotten last.
func (r *rig) writes() []string {
	var all []string
	for _, q := range r.fake.Requests() {
		if q.Write() {
			all = append(all, q.Method+" "+q.Path)
		}
	}
	return all
}

// sent reports how many requests had a method and a path with this in it.
func (r *rig) sent(method, path string) int {
	n := 0
	for _, q := range r.fake.Requests() {
		if q.Method == method && strings.Contains(q.Path, path) {
			n++
		}
	}
	return n
}

// active is the active version of the only service.
func (r *rig) active() *fastlytest.Version {
	r.t.Helper()
	a := r.fake.Snapshot()
	if len(a.Services) != 1 || a.Services[0].Active() == nil {
		r.t.Fatalf("there is not one active service: %+v", a.Services)
	}
	return a.Services[0].Active()
}

// whole fails the test unless the account has exactly one complete installation.
func (r *rig) whole() {
	r.t.Helper()
	a, v := r.fake.Snapshot(), r.active()
	if !a.Services[0].Fanout || a.Services[0].Type != fastlytest.Wasm {
		r.t.Errorf("the service is %+v", a.Services[0])
	}
	if len(a.ConfigStores) != 1 || len(a.SecretStores) != 1 || len(a.KVStores) != 2 {
		r.t.Errorf("there are %d config, %d secret and %d KV stores", len(a.ConfigStores), len(a.SecretStores), len(a.KVStores))
	}
	var links, backends []string
	for _, l := range v.Links {
		links = append(links, l.Name)
	}
	for _, b := range v.Backends {
		backends = append(backends, b.Name())
	}
	slices.Sort(links)
	slices.Sort(backends)
	if fmt.Sprint(links) != "[config keys messages secrets]" || fmt.Sprint(backends) != "[api self]" || len(v.Domains) != 1 {
		r.t.Errorf("the version has links %v, backends %v, domains %v", links, backends, v.Domains)
	}
	if v.Package == nil || v.Package.FilesHash != r.spec.Package.FilesHash {
		r.t.Errorf("the package is %+v", v.Package)
	}
	s := a.SecretStores[0].Secrets
	if len(s) != 1 || string(s[0].Value) != plantedToken || !s[0].Encrypted {
		r.t.Errorf("the secrets are %v", s)
	}
	r.keyKept(a, v)
}

// keyKept fails the test unless there is one key and it is the one kept last.
func (r *rig) keyKept(a *fastlytest.Account, v *fastlytest.Version) {
	r.t.Helper()
	items := a.KVStore(v.Link("keys").StoreID).Items
	if len(items) != 1 || len(r.kept) == 0 {
		r.t.Fatalf("there are %d keys, %d were kept", len(items), len(r.kept))
	}
	k := r.kept[len(r.kept)-1]
	if item := items[k.ID]; item == nil || string(item.Value) != k.Value.Reveal() {
		r.t.Errorf("the key that was kept, %s, is not the one that is there", k.ID)
	}
}

// appPackage is a package with the app's manifest and a program that says what.
func appPackage(t *testing.T, what string) *Archive {
	t.Helper()
	content, err := pack("package", map[string][]byte{
		"fastly.toml": []byte("name = \"Pub/Sub\"\nlanguage = \"rust\"\nmanifest_version = 3\n"), "bin/main.wasm": []byte("\x00asm\x01\x00\x00\x00" + what),
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadArchive(content)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ledgerText is all ledgers as they are on disk.
func (r *rig) ledgerText() string {
	names, _ := filepath.Glob(filepath.Join(r.env.Book.Dir, "*"))
	var b strings.Builder
	for _, n := range names {
		text, _ := os.ReadFile(n)
		b.Write(text)
	}
	return b.String()
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
