package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// setupArgs are a command line that sets the service chat up.
func (h *hostedService) setupArgs(more ...string) []string {
	return append([]string{"setup", "--name", "chat", "--package", "app.tar.gz", "--publish-token", "env:PUBLISH_TOKEN", "--app-url", h.relay.Ready().Hub}, more...)
}

// ready makes an account in which setup works, with the files and tokens it needs.
func ready(t *testing.T, o fastlytest.Options) *hostedService {
	t.Helper()
	h := newAccount(t, o)
	h.write(t, "app.tar.gz", string(appPackage(t, "Pub/Sub")))
	h.fake.AddToken(fastlytest.Token{ID: "pt", Name: "publish", Value: hostedPublishToken, Scope: "purge_select", Automation: true})
	return h
}

// writes counts the requests that change something, since the last count.
func (h *hostedService) writes() int {
	n := 0
	for _, r := range h.fake.Requests() {
		if r.Write() {
			n++
		}
	}
	h.fake.ForgetRequests()
	return n
}

// badInput is what a person or the world does wrong, and what setup has to say.
type badInput struct {
	name string
	seed func(t *testing.T, h *hostedService)
	// args replaces the command line; nil is setupArgs.
	args func(h *hostedService) []string
	code int
	says string // of the error
	// next begins the command that follows. Mended, it is run and has to succeed.
	next string
	mend func(t *testing.T, h *hostedService)
	// untouched says that nothing may have been written.
	untouched bool
}

func asToken(value string, t fastlytest.Token) func(*testing.T, *hostedService) {
	return func(_ *testing.T, h *hostedService) {
		t.Value = value
		h.fake.AddToken(t)
		h.setenv("FASTLY_API_TOKEN", value)
	}
}

func badInputs() []badInput {
	withArgs := func(more ...string) func(*hostedService) []string {
		return func(h *hostedService) []string { return h.setupArgs(more...) }
	}
	preset := func(name string) func(*testing.T, *hostedService) {
		return func(t *testing.T, h *hostedService) {
			if err := h.fake.Preset(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	clear := func(_ *testing.T, h *hostedService) { h.fake.ClearFaults() }
	nothing := func(*testing.T, *hostedService) {}
	good := func(_ *testing.T, h *hostedService) { h.setenv("FASTLY_API_TOKEN", fastlytest.DefaultToken) }
	return []badInput{
		{name: "a wrong token", seed: func(_ *testing.T, h *hostedService) { h.setenv("FASTLY_API_TOKEN", "wrong-token") },
			code: 4, says: "the platform does not know the API token", next: "pubsubctl context show --resolved", mend: good, untouched: true},
		{name: "an expired token", seed: asToken("expired-token", fastlytest.Token{ID: "e", Expires: time.Now().Add(-time.Hour)}),
			code: 4, says: "the API token has expired", next: "pubsubctl context show --resolved", mend: good, untouched: true},
		{name: "a token for other services", seed: asToken("limited-token", fastlytest.Token{ID: "l", Services: []string{"other"}}),
			code: 4, says: "limited to some services", next: "pubsubctl context show --resolved", mend: good, untouched: true},
		{name: "a token that only reads", seed: asToken("reading-token", fastlytest.Token{ID: "r", Scope: "global:read"}),
			code: 4, says: "its scope is global:read", next: "pubsubctl context show --resolved", mend: good, untouched: true},
		{name: "no token", seed: func(_ *testing.T, h *hostedService) { h.setenv("FASTLY_API_TOKEN", "") },
			code: 3, says: "no API token is known", next: "pubsubctl help environment", untouched: true},
		{name: "no entitlement", seed: preset("no-entitlement"), code: 9, says: "the account may not use Fanout", next: "pubsubctl setup --name chat", mend: clear},
		{name: "a name that is taken", seed: func(_ *testing.T, h *hostedService) {
			h.fake.Change(func(a *fastlytest.Account) {
				a.Services = append(a.Services, &fastlytest.Service{ID: "theirs", Name: "chat", Type: fastlytest.Wasm, Versions: []*fastlytest.Version{{Number: 1}}})
			})
		}, code: 1, says: `there is a service "chat" already, theirs`, next: "pubsubctl setup --adopt theirs --package", mend: nothing, untouched: true},
		{name: "a service of VCL", seed: func(_ *testing.T, h *hostedService) {
			h.fake.Change(func(a *fastlytest.Account) {
				a.Services = append(a.Services, &fastlytest.Service{ID: "vcl", Name: "site", Type: fastlytest.VCL, Versions: []*fastlytest.Version{{Number: 1}}})
			})
		}, args: func(*hostedService) []string { return []string{"setup", "--adopt", "vcl", "--package", "app.tar.gz"} },
			code: 1, says: "is of type vcl", next: "pubsubctl setup --name NAME --package app.tar.gz", untouched: true},
		{name: "a service that is not there", args: func(*hostedService) []string {
			return []string{"setup", "--adopt", "nowhere", "--package", "app.tar.gz"}
		},
			code: 5, says: `there is no service "nowhere"`, next: "pubsubctl setup --name NAME", untouched: true},
		{name: "a domain that is taken", args: withArgs("--domain", "events.example.com"), code: 9,
			says: "the domain events.example.com belongs to another service or customer", next: "pubsubctl setup --domain DOMAIN --name chat"},
		{name: "no package", args: func(*hostedService) []string { return []string{"setup", "--name", "chat"} },
			code: 2, says: "there is no program to upload", next: "pubsubctl setup --package FILE --name chat", untouched: true},
		{name: "a package that is not there", args: withArgs("--package", "none.tar.gz"), code: 1, says: "cannot read ", next: "pubsubctl setup --package FILE", untouched: true},
		{name: "a package that is none", seed: func(t *testing.T, h *hostedService) { h.write(t, "app.tar.gz", "not an archive") },
			code: 2, says: "app.tar.gz is not a package to upload", next: "pubsubctl setup --package FILE", untouched: true},
		{name: "a package from nowhere", args: withArgs("--package", "ftp://127.0.0.1/app.tar.gz"), code: 2, says: "ftp://127.0.0.1/app.tar.gz is not a package to upload", next: "pubsubctl setup --package FILE", untouched: true},
		{name: "a package in the clear", args: withArgs("--package", "HTTP://127.0.0.1:1/app.tar.gz"), code: 2, says: "what comes over http needs --package-sha256", next: "pubsubctl setup --package FILE", untouched: true},
		{name: "a source that is not there", args: func(*hostedService) []string { return []string{"setup", "--name", "chat", "--source", "nowhere"} },
			code: 1, says: "nowhere", next: "pubsubctl setup --package FILE", untouched: true},
		{name: "another package than expected", args: withArgs("--package-sha256", strings.Repeat("0", 64)), code: 2, says: "is not a package to upload", next: "pubsubctl setup --package FILE", untouched: true},
		{name: "the network is cut", seed: func(t *testing.T, h *hostedService) {
			err := h.fake.Fault(fastlytest.Fault{Match: fastlytest.Match{Method: "POST", Path: "/backend$", Times: 100}, Kind: fastlytest.Reset})
			if err != nil {
				t.Fatal(err)
			}
		}, code: 9, says: "part is done, and then backend-self: cannot reach http://127.0.0.1:", next: "pubsubctl setup --name chat", mend: clear},
		{name: "the platform is not there", seed: func(_ *testing.T, h *hostedService) { h.setenv("FASTLY_API_ENDPOINT", "http://127.0.0.1:1") },
			code: 6, says: "cannot reach http://127.0.0.1:1", next: "pubsubctl setup --name chat", untouched: true},
		{name: "the platform without TLS", seed: func(_ *testing.T, h *hostedService) { h.setenv("FASTLY_API_ENDPOINT", "http://api.example.com") },
			code: 3, says: "the API token is not sent to http://api.example.com", next: "pubsubctl context show --resolved", untouched: true},
		{name: "the app without TLS", args: withArgs("--app-url", "http://app.example.com"), code: 2, says: "setup does not reach the app at http://app.example.com",
			next: "pubsubctl setup --help", untouched: true},
		{name: "a clock that is behind", seed: func(_ *testing.T, h *hostedService) {
			h.now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
		}, code: 9, says: "is this machine's clock right?", next: "pubsubctl doctor -c chat", mend: func(_ *testing.T, h *hostedService) { h.now = time.Now }},
		{name: "two at once", seed: func(t *testing.T, h *hostedService) {
			book := provision.Book{Dir: filepath.Dir(filepath.Join(h.home, h.ledgerFile())), Now: time.Now}
			unlock, err := book.Lock()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(unlock)
		}, code: 1, says: "another setup or teardown is running, process ", next: "pubsubctl setup --name chat", untouched: true},
		{name: "a configuration directory that takes no file", seed: func(t *testing.T, h *hostedService) {
			h.setenv("XDG_CONFIG_HOME", filepath.Join(h.home, "app.tar.gz"))
		}, code: 3, says: "config.toml: cannot be read", next: "pubsubctl setup --name chat", untouched: true},
		{name: "a read-only configuration directory", seed: func(t *testing.T, h *hostedService) {
			if runtime.GOOS != "linux" {
				t.Skip("needs a directory that takes no files even from root")
			}
			h.setenv("XDG_CONFIG_HOME", "/proc/nowhere")
		}, code: 3, says: "the context could not be saved in /proc/nowhere/pubsubctl", next: "pubsubctl setup --name chat", untouched: true},
		{name: "a state directory that takes no file", seed: func(_ *testing.T, h *hostedService) {
			h.setenv("XDG_STATE_HOME", filepath.Join(h.home, "app.tar.gz"))
		}, code: 1, says: "cannot write ", next: "XDG_STATE_HOME=DIR pubsubctl setup --name chat", untouched: true},
		{name: "nobody to ask", seed: func(_ *testing.T, h *hostedService) { h.setenv("PUBSUBCTL_YES", "") },
			code: 2, says: "nobody can be asked", next: "pubsubctl setup --name chat", mend: nothing, untouched: true},
		{name: "no publish token", args: func(h *hostedService) []string {
			return []string{"setup", "--name", "chat", "--package", "app.tar.gz", "--app-url", h.relay.Ready().Hub}
		}, code: 9, says: "needs a token to publish with", next: "pubsubctl setup --name chat --package app.tar.gz --app-url", mend: nothing},
		{name: "a publish token on the command line", args: withArgs("--publish-token", "in-the-open-secret"), code: 3, says: "a token is not written on the command line", next: "pubsubctl setup --name chat --package app.tar.gz --app-url http://", untouched: true},
		{name: "a publish token that may only read", seed: func(_ *testing.T, h *hostedService) {
			h.fake.Change(func(a *fastlytest.Account) {
				for _, tok := range a.Tokens {
					if tok.ID == "pt" {
						tok.Scope = "global:read"
					}
				}
			})
		}, code: 9, says: "publishing needs purge_select", next: "pubsubctl setup --name chat"},
		{name: "a context of another service", seed: func(t *testing.T, h *hostedService) {
			h.write(t, "pubsubctl/config.toml", "version = 1\n[contexts.chat]\nurl = \"https://other.example.com\"\nservice_id = \"other\"\n")
		}, code: 2, says: `context "chat" is of service other`, next: "pubsubctl setup --name chat", mend: nothing, untouched: true},
		{name: "a context of another address", seed: func(t *testing.T, h *hostedService) {
			h.write(t, "pubsubctl/config.toml", "version = 1\n[contexts.chat]\nurl = \"https://other.example.com\"\nkey = { id = \"k\", secret = \"env:K\" }\nprotected = true\n")
		}, code: 2, says: `context "chat" is of https://other.example.com`, next: "pubsubctl setup --name chat", mend: nothing, untouched: true},
		{name: "a context with only a key", seed: func(t *testing.T, h *hostedService) {
			h.write(t, "pubsubctl/config.toml", "version = 1\n[contexts.chat]\nkey = { id = \"k\", secret = \"env:K\" }\n")
		}, code: 2, says: `context "chat" is one with key k`, next: "pubsubctl setup --name chat", mend: nothing, untouched: true},
		{name: "one step of a service that is not there", args: func(h *hostedService) []string {
			return []string{"setup", "--name", "chat", "--only", "package", "--package", "app.tar.gz"}
		}, code: 2, says: "there is no service yet", next: "pubsubctl setup --name chat --package app.tar.gz", untouched: true},
		{name: "the token of a service that is not there", args: func(h *hostedService) []string {
			return []string{"setup", "--name", "chat", "--only", "publish-token", "--publish-token", "env:PUBLISH_TOKEN"}
		}, code: 2, says: "there is no service yet", next: "pubsubctl setup --name chat --publish-token env:PUBLISH_TOKEN", untouched: true},
	}
}

// TestSetupSaysWhatIsWrong: one clear error each, with the command that follows, and
// nothing lost.
func TestSetupSaysWhatIsWrong(t *testing.T) {
	for _, b := range badInputs() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			h := ready(t, fastlytest.Options{TakenDomains: []string{"events.example.com"}})
			args := h.setupArgs()
			if b.args != nil {
				args = b.args(h)
			}
			if b.seed != nil {
				b.seed(t, h)
			}
			h.fake.ForgetRequests()
			code, out, errs := h.run(t, args...)
			if code != b.code || out != "" || !strings.Contains(errs, b.says) || strings.Count(errs, "error: ") != 1 {
				t.Fatalf("exit %d, want %d and %q\n%s%s", code, b.code, b.says, out, errs)
			}
			next := nextCommand(errs)
			if next == "" || !strings.HasPrefix(next, b.next) {
				t.Fatalf("next %q, want %q\n%s", next, b.next, errs)
			}
			if n := h.writes(); b.untouched && n > 0 {
				t.Errorf("%d writes\n%s", n, errs)
			}
			if b.mend == nil {
				return
			}
			b.mend(t, h)
			runFix(t, h, next)
			if strings.HasPrefix(next, "pubsubctl setup") {
				h.complete(t)
			}
		})
	}
}

// nextCommand is what an error says to do next.
func nextCommand(errs string) string {
	m := regexp.MustCompile(`(?m)^  next: (.*)$`).FindStringSubmatch(errs)
	if m == nil {
		return ""
	}
	return m[1]
}

// complete insists on one service with its parts, once each, and on a context that
// works.
func (h *hostedService) complete(t *testing.T) {
	t.Helper()
	a := h.fake.Snapshot()
	if len(a.Services) != 1 || len(a.KVStores) != 2 || len(a.SecretStores) != 1 || len(a.ConfigStores) != 1 {
		t.Errorf("%d services, %d, %d and %d stores", len(a.Services), len(a.KVStores), len(a.SecretStores), len(a.ConfigStores))
	}
	if code, found := h.diagnosis(t); code != 0 {
		t.Errorf("doctor exits %d: %+v", code, found)
	}
}

// TestSetupJSON: one object, before and after, and nothing else anywhere.
func TestSetupJSON(t *testing.T) {
	h := ready(t, fastlytest.Options{})
	var got struct {
		ServiceID string             `json:"service_id"`
		Actions   []provision.Action `json:"actions"`
		Writes    int                `json:"writes"`
		DryRun    bool               `json:"dry_run"`
		Result    *provision.Report  `json:"result"`
	}
	code, out, errs := h.run(t, h.setupArgs("--json", "--dry-run")...)
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" || !got.DryRun || got.Result != nil || len(got.Actions) < 14 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	planned := got.Writes
	if n := h.writes(); n != 0 {
		t.Errorf("--dry-run writes %d times", n)
	}
	code, out, errs = h.run(t, h.setupArgs("--json")...)
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" || got.DryRun || got.Result == nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if r := got.Result; r.ServiceID == "" || r.ServiceID != got.ServiceID || r.Context != "chat" || r.KeyID == "" || r.Version != 1 || len(r.Steps) != len(provision.Steps()) {
		t.Errorf("result %+v", r)
	}
	if n := h.writes(); n < 18 || n > 24 || n < planned-4 || n > planned+4 {
		t.Errorf("%d writes, planned %d, about 22 expected", n, planned)
	}
	code, out, errs = h.run(t, h.setupArgs("--json")...)
	if n := h.writes(); code != 0 || n != 0 || !strings.Contains(out, `"actions":[]`) {
		t.Errorf("again: exit %d, %d writes: %s%s", code, n, out, errs)
	}
}

// pressing is a person who interrupts as soon as a text shows.
type pressing struct {
	seen  bytes.Buffer
	at    string
	press func()
}

func (p *pressing) String() string { return p.seen.String() }

func (p *pressing) Write(b []byte) (int, error) {
	n, err := p.seen.Write(b)
	if p.press != nil && strings.Contains(p.String(), p.at) {
		p.press()
		p.press = nil
	}
	return n, err
}

// TestInterruptedSetupGoesOn: Ctrl-C before the first write ends as for every
// command; after it the run is part done, and the same command does the rest.
func TestInterruptedSetupGoesOn(t *testing.T) {
	for _, c := range []struct {
		at   string
		code int
	}{{"about ", 130}, {"ok    package", 9}, {"ok    kv-messages", 9}, {"ok    activate", 9}} {
		t.Run(c.at, func(t *testing.T) {
			h := ready(t, fastlytest.Options{})
			ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
			defer cancel(nil)
			errs := &pressing{at: c.at, press: func() { cancel(signalled{os.Interrupt}) }}
			s := ui.Buffers(ui.EnvOf(h.environ), nil, io.Discard, errs)
			code := Run(ctx, Invocation{Args: h.setupArgs(), Environ: h.environ, Dir: h.home, Streams: s, Now: h.now})
			if code != c.code {
				t.Fatalf("exit %d, want %d: %s", code, c.code, errs)
			}
			if c.code == 9 && (!strings.Contains(errs.String(), "interrupted") || nextCommand(errs.String()) != "pubsubctl "+strings.Join(h.setupArgs(), " ")) {
				t.Errorf("it says %s", errs)
			}
			runFix(t, h, "pubsubctl "+strings.Join(h.setupArgs(), " "))
			h.complete(t)
		})
	}
}

// TestAdoptedServiceSurvives: one that was there before gets what it lacks, a
// context under the name asked for, and keeps what it had when setup's work goes.
func TestAdoptedServiceSurvives(t *testing.T) {
	h := newHosted(t)
	h.write(t, "pubsubctl/config.toml", "version = 1\n")
	h.active(func(a *fastlytest.Account, v *fastlytest.Version) {
		v.Link("messages").Name = "elsewhere"
		a.KVStores = slices.DeleteFunc(a.KVStores, func(s *fastlytest.KVStore) bool { return strings.HasSuffix(s.Name, "_messages") })
	})
	if code, _, errs := h.run(t, "setup", "--service-id", h.id, "--app-url", h.relay.Ready().Hub, "--dry-run"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	code, _, errs := h.run(t, "setup", "--adopt", h.id, "--app-url", h.relay.Ready().Hub, "-c", "prod")
	if code != 0 || !strings.Contains(errs, "~ adopt ") || !strings.Contains(errs, "context prod is saved") {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if code, found := h.diagnosis(t, "-c", "prod"); code != 0 {
		t.Errorf("doctor: %+v", found)
	}
	if code, _, errs = h.run(t, "teardown"); code != 0 {
		t.Fatalf("teardown exits %d: %s", code, errs)
	}
	a := h.fake.Snapshot()
	if len(a.Services) != 1 || len(a.ConfigStores) != 1 || len(a.SecretStores) != 1 || !a.Services[0].Fanout || len(a.KVStores) != 1 {
		t.Errorf("left: %d services, %d config, %d secret and %d KV stores", len(a.Services), len(a.ConfigStores), len(a.SecretStores), len(a.KVStores))
	}
}

// TestSetupOfAnotherContext: a service of a context that is not current is repaired
// by the command that doctor prints, with what chose it.
func TestSetupOfAnotherContext(t *testing.T) {
	h := newHosted(t)
	h.write(t, "pubsubctl/config.toml", strings.Replace(readHome(t, h, "pubsubctl/config.toml"), `current = "chat"`, `current = "local"`, 1))
	h.active(func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Fanout = false })
	_, found := h.diagnosis(t, "-c", "chat", "--api-url", h.relay.Ready().FastlyAPI)
	want := "pubsubctl setup --only fanout -c chat --api-url " + h.relay.Ready().FastlyAPI
	if fix := found["fanout"].Fix; fix != want {
		t.Fatalf("fix %q, want %q", fix, want)
	}
	h.setenv("FASTLY_API_ENDPOINT", "")
	runFix(t, h, want)
	if code, _ := h.diagnosis(t, "-c", "chat", "--api-url", h.relay.Ready().FastlyAPI); code != 0 {
		t.Errorf("after it: exit %d", code)
	}
}

// TestNewServiceIsNotMadeAtARehearsal: the platform of a context counts for the
// service of that context only.
func TestNewServiceIsNotMadeAtARehearsal(t *testing.T) {
	h := newAccount(t, fastlytest.Options{})
	h.setenv("FASTLY_API_ENDPOINT", "")
	h.write(t, "pubsubctl/config.toml", "version = 1\ncurrent = \"chat\"\n[contexts.chat]\nservice_id = \"abc\"\napi_url = \"http://127.0.0.1:1\"\n")
	for _, c := range []struct {
		o    setupOptions
		kept bool
	}{{setupOptions{name: "other"}, false}, {setupOptions{adopt: "def"}, false}, {setupOptions{name: "chat"}, true}, {setupOptions{adopt: "abc"}, true}, {setupOptions{}, true}} {
		r := newRun(Invocation{Environ: h.environ, Dir: h.home, Streams: ui.Buffers(ui.EnvOf(h.environ), nil, io.Discard, io.Discard)})
		cmd, _, err := r.root.Find([]string{"setup"})
		if err != nil {
			t.Fatal(err)
		}
		w := &setupWork{d: r.d, c: cmd, o: c.o}
		s, err := w.settings()
		if err != nil {
			t.Fatal(err)
		}
		w.dropForeignAPI(s)
		if s.APIURL.IsSet() != c.kept {
			t.Errorf("%+v: the platform is %q", c.o, s.APIURL.Text)
		}
	}
}

// TestServiceThatIsGone: after a relay was started anew, the account of the rehearsal
// is empty. The command that setup names clears the way.
func TestServiceThatIsGone(t *testing.T) {
	for _, forget := range []bool{false, true} {
		h := ready(t, fastlytest.Options{})
		if code, _, errs := h.run(t, h.setupArgs()...); code != 0 {
			t.Fatal(errs)
		}
		h.fake.Change(func(a *fastlytest.Account) {
			a.Services, a.ConfigStores, a.SecretStores, a.KVStores = nil, nil, nil, nil
		})
		want := "pubsubctl teardown -c chat"
		if forget {
			h.write(t, "pubsubctl/config.toml", "version = 1\n")
			want = "pubsubctl teardown --service-id "
		}
		code, _, errs := h.run(t, h.setupArgs()...)
		if next := nextCommand(errs); code != 5 || !strings.HasPrefix(next, want) {
			t.Fatalf("exit %d: %s", code, errs)
		}
		runFix(t, h, nextCommand(errs))
		runFix(t, h, "pubsubctl "+strings.Join(h.setupArgs(), " "))
		h.complete(t)
	}
}

// TestSelfTestSaysWhatItSaw: what does not come back is said, with where to look.
func TestSelfTestSaysWhatItSaw(t *testing.T) {
	h := newHosted(t)
	if code, _, errs := h.run(t, "setup", "--only", "self-test"); code != 0 || !strings.Contains(errs, "over MQTT in ") {
		t.Errorf("exit %d: %s", code, errs)
	}
	h.active(func(a *fastlytest.Account, v *fastlytest.Version) {
		a.KVStore(v.Link("keys").StoreID).Items["k1"].Value = []byte("another")
	})
	code, _, errs := h.run(t, "setup", "--only", "self-test")
	if code != 8 || !strings.Contains(errs, "error: cannot subscribe over SSE\n  why:  forbidden: Invalid token; ") || nextCommand(errs) != "pubsubctl doctor -c chat" {
		t.Errorf("exit %d: %s", code, errs)
	}
}
