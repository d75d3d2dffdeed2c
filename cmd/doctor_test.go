package cmd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// fault is one mistake in a service and what doctor has to say of it.
type fault struct {
	name string
	seed func(t *testing.T, h *hostedService)
	// check is the one that names it, warn that it does so with a warning.
	check string
	warn  bool
	// fix is how the command begins that helps; empty where nothing on this machine
	// does.
	fix string
}

// faults are the seeded mistakes: fastly-api.md, section 12, and pubsub-app.md,
// section 9.3.
func faults() []fault {
	on := func(f func(a *fastlytest.Account, v *fastlytest.Version)) func(*testing.T, *hostedService) {
		return func(_ *testing.T, h *hostedService) { h.active(f) }
	}
	self := func(member string, value any) func(*testing.T, *hostedService) {
		return on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Backend("self").Fields[member] = value })
	}
	item := func(name, value string) func(*testing.T, *hostedService) {
		return on(func(a *fastlytest.Account, _ *fastlytest.Version) {
			a.ConfigStores[0].Items = append(a.ConfigStores[0].Items, &fastlytest.ConfigItem{Key: name, Value: value})
		})
	}
	drop := func(backend string) func(*testing.T, *hostedService) {
		return on(func(_ *fastlytest.Account, v *fastlytest.Version) {
			for i, b := range v.Backends {
				if b.Name() == backend {
					v.Backends = append(v.Backends[:i:i], v.Backends[i+1:]...)
					return
				}
			}
		})
	}
	token := func(f func(*fastlytest.Token)) func(*testing.T, *hostedService) {
		return on(func(a *fastlytest.Account, _ *fastlytest.Version) {
			for _, t := range a.Tokens {
				if t.ID == "pt" {
					f(t)
				}
			}
		})
	}
	keys := func(a *fastlytest.Account, v *fastlytest.Version) map[string]*fastlytest.KVItem {
		return a.KVStore(v.Link("keys").StoreID).Items
	}
	return []fault{
		{"no version is active", on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Active = false }), "activate", false, "pubsubctl setup --only activate"},
		{"Fanout is off", on(func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Fanout = false }), "fanout", false, "pubsubctl setup --only fanout"},
		{"the link keys has another name", on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Link("keys").Name = "keyring" }), "kv-keys", false, "pubsubctl setup --only kv-keys"},
		{"the link messages is missing", on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Link("messages").Name = "pubsub_t_messages" }), "kv-messages", false, "pubsubctl setup --only kv-messages"},
		{"the store behind secrets is gone", on(func(a *fastlytest.Account, _ *fastlytest.Version) { a.SecretStores = nil }), "secret-store", false, "pubsubctl setup --only secret-store"},
		{"config leads to a store of another kind", on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Link("config").StoreID = v.Link("keys").StoreID }), "config-store", false, "pubsubctl setup --only config-store"},
		{"the domain is not in the version", on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Domains = nil }), "domain", false, "pubsubctl setup --only domain"},
		{"self is missing", drop("self"), "backend-self", false, "pubsubctl setup --only backend-self"},
		{"self leads to another site", self("address", "www.example.com"), "backend-self", false, "pubsubctl setup --only backend-self"},
		{"self leads to another service", on(func(a *fastlytest.Account, v *fastlytest.Version) {
			a.CustomDomains = append(a.CustomDomains, &fastlytest.CustomDomain{ID: "d", Name: "other.edgecompute.app", ServiceID: "other"})
			v.Backend("self").Fields["address"] = "other.edgecompute.app"
		}), "backend-self", false, "pubsubctl setup --only backend-self"},
		{"self has no override host", self("override_host", nil), "backend-self", false, "pubsubctl setup --only backend-self"},
		{"self has no TLS", self("use_ssl", false), "backend-self", false, "pubsubctl setup --only backend-self"},
		{"self is shielded", self("shield", "iad-va-us"), "backend-self", false, "pubsubctl setup --only backend-self"},
		{"api is missing", drop("api"), "backend-api", false, "pubsubctl setup --only backend-api"},
		{"api leads elsewhere", on(func(_ *fastlytest.Account, v *fastlytest.Version) {
			v.Backend("api").Fields["address"] = "api.example.com"
		}), "backend-api", false, "pubsubctl setup --only backend-api"},
		{"the package is another program", on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Package.Name = "hello" }), "package", false, "pubsubctl setup --only package"},
		{"a switch is True", item("sse", "True"), "config-items", false, "pubsubctl setup --only config-store --config-item sse=true"},
		{"sse is off", item("sse", "false"), "switches", false, "pubsubctl setup --only config-store --config-item sse=true"},
		{"http-publish is off", item("http-publish", "false"), "switches", false, "pubsubctl setup --only config-store --config-item http-publish=true"},
		{"admin is off", item("admin", "false"), "switches", true, "pubsubctl setup --only config-store --config-item admin=true"},
		{"there is no publish token", on(func(a *fastlytest.Account, _ *fastlytest.Version) { a.SecretStores[0].Secrets = nil }), "publish-token", false, fixToken},
		{"the publish token was replaced", on(func(a *fastlytest.Account, _ *fastlytest.Version) {
			a.SecretStores[0].Secrets[0].Value = []byte("somebody's")
		}), "publish-token", false, fixToken},
		{"the publish token was revoked", token(func(t *fastlytest.Token) { t.Value = "was revoked" }), "publish-token", false, fixToken},
		{"the publish token has expired", token(func(t *fastlytest.Token) { t.Expires = time.Now().Add(-time.Hour) }), "publish-token", false, fixToken},
		{"the publish token is another service's", token(func(t *fastlytest.Token) { t.Services = []string{"other"} }), "publish-token", false, fixToken},
		{"the publish token may only read", token(func(t *fastlytest.Token) { t.Scope = "global:read" }), "publish-token", false, fixToken},
		{"there is no signing key", on(func(a *fastlytest.Account, v *fastlytest.Version) { clear(keys(a, v)) }), "signing-key", false, "pubsubctl key create --save"},
		{"the context's key was deleted", on(func(a *fastlytest.Account, v *fastlytest.Version) {
			delete(keys(a, v), "k1")
			keys(a, v)["k2"] = &fastlytest.KVItem{Value: []byte("x")}
		}), "signing-key", false, "pubsubctl key create --save"},
		{"the key ends with a line end", on(func(a *fastlytest.Account, v *fastlytest.Version) {
			keys(a, v)["k1"].Value = []byte(hostedKeySecret + "\n")
		}), "signing-key", false, "pubsubctl key create --save"},
		{"somebody has a draft", on(func(a *fastlytest.Account, v *fastlytest.Version) {
			a.Services[0].Versions = append(a.Services[0].Versions, &fastlytest.Version{Number: 2})
		}), "drafts", true, "pubsubctl setup --dry-run"},
		{"the API token was revoked", func(_ *testing.T, h *hostedService) { h.setenv("FASTLY_API_TOKEN", "revoked-token") }, "api-token", false, ""},
		{"the API token has expired", func(_ *testing.T, h *hostedService) {
			h.fake.AddToken(fastlytest.Token{Value: "expired-token", Expires: time.Now().Add(-time.Hour)})
			h.setenv("FASTLY_API_TOKEN", "expired-token")
		}, "api-token", false, ""},
		{"the API token is for another service", func(_ *testing.T, h *hostedService) {
			h.fake.AddToken(fastlytest.Token{Value: "limited-token", Services: []string{"other"}})
			h.setenv("FASTLY_API_TOKEN", "limited-token")
		}, "service", false, ""},
		{"the service is of VCL", on(func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Type = fastlytest.VCL }), "service", false, ""},
		{"the publish token expires soon", func(t *testing.T, h *hostedService) {
			h.note(t)
			token(func(t *fastlytest.Token) { t.Expires = time.Now().Add(3 * 24 * time.Hour) })(t, h)
		}, "token-expiry", true, fixToken},
		{"another publish token that works", func(t *testing.T, h *hostedService) {
			h.note(t)
			h.write(t, h.ledgerFile(), strings.Replace(readHome(t, h, h.ledgerFile()), `"prefix":`, `"secret_digest":"of setup's","prefix":`, 1))
		}, "publish-token", true, fixToken},
		{"another build of the package", func(t *testing.T, h *hostedService) {
			h.note(t)
			on(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Package.FilesHash = "other" })(t, h)
		}, "package", true, "pubsubctl setup --dry-run"},
		{"this machine's clock is ahead", func(_ *testing.T, h *hostedService) {
			h.now = func() time.Time { return time.Now().Add(10 * time.Minute) }
		}, "clock", false, ""},
	}
}

const fixToken = "pubsubctl setup --only publish-token --publish-token env:PUBLISH_TOKEN"

// TestS58DoctorNamesTheFault: of each mistake it names the cause and nothing else,
// and after the printed command it finds nothing.
func TestS58DoctorNamesTheFault(t *testing.T) {
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := newHosted(t)
			f.seed(t, h)
			code, found := h.diagnosis(t)
			want := map[bool]int{true: 0, false: 8}[f.warn]
			if names := wrong(found); code != want || len(names) != 1 || names[0] != f.check {
				t.Fatalf("exit %d and %q, want %d and %q\n%+v", code, names, want, f.check, found)
			}
			says := found[f.check]
			if says.Detail == "" || says.Why == "" || says.Fix == "" || !strings.HasPrefix(says.Fix, f.fix) {
				t.Errorf("it says %+v, want a fix that begins with %q", says, f.fix)
			}
			if f.fix == "" {
				return // nothing on this machine mends it
			}
			h.prepare(t)
			runFix(t, h, says.Fix)
			if strings.HasSuffix(says.Fix, "--dry-run") {
				return // it shows what a person has to decide
			}
			if code, found := h.diagnosis(t); code != 0 || len(wrong(found)) > 0 {
				t.Errorf("after %s: exit %d, %+v", says.Fix, code, found)
			}
		})
	}
}

// prepare puts in place what the printed commands name: a package, and a publish
// token as a person would make one.
func (h *hostedService) prepare(t *testing.T) {
	t.Helper()
	h.write(t, "app.tar.gz", string(appPackage(t, "Pub/Sub")))
	h.fake.AddToken(fastlytest.Token{ID: "fresh", Name: "fresh", Value: "publish-token-made-anew", Scope: "purge_select", Services: []string{h.id}, Automation: true})
	h.setenv("PUBLISH_TOKEN", "publish-token-made-anew")
}

// appPackage is a package with a program of a name.
func appPackage(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range [][2]string{
		{"package/fastly.toml", "manifest_version = 3\nlanguage = \"rust\"\nname = \"" + name + "\"\n"},
		{"package/bin/main.wasm", "\x00asm\x01\x00\x00\x00"},
	} {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Size: int64(len(f[1])), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// runFix runs a printed command as it is.
func runFix(t *testing.T, h *hostedService, fix string) {
	t.Helper()
	words, err := config.SplitWords(fix)
	if err != nil {
		t.Fatal(err)
	}
	if code, out, errs := h.run(t, words[1:]...); code != 0 {
		t.Fatalf("%s: exit %d\n%s%s", fix, code, out, errs)
	}
}

func TestDoctorFindsNothingWrongWithAGoodService(t *testing.T) {
	h := newHosted(t)
	code, found := h.diagnosis(t, "--deep")
	if code != 0 || len(wrong(found)) > 0 {
		t.Fatalf("exit %d, %+v", code, found)
	}
	for name, f := range found {
		if f.Status == provision.StatusSkip && name != "token-expiry" {
			t.Errorf("%s is skipped: %s", name, f.Detail)
		}
	}
	if len(found) != len(provision.Checks()) {
		t.Errorf("%d checks, want %d", len(found), len(provision.Checks()))
	}
}

// TestS59DoctorTellsKeysFromTokens: a bad key and a bad publish token look alike to
// a publisher.
func TestS59DoctorTellsKeysFromTokens(t *testing.T) {
	h := newHosted(t)
	h.active(func(a *fastlytest.Account, v *fastlytest.Version) {
		clear(a.KVStore(v.Link("keys").StoreID).Items)
	})
	_, found := h.diagnosis(t)
	if f := found["publish-token"]; f.Status != provision.StatusOK {
		t.Errorf("with bad keys the publish token is %+v", f)
	}
	h = newHosted(t)
	h.active(func(a *fastlytest.Account, _ *fastlytest.Version) { a.SecretStores[0].Secrets[0].Value = []byte("x") })
	_, found = h.diagnosis(t)
	if f := found["signing-key"]; f.Status != provision.StatusOK {
		t.Errorf("with a bad publish token the key is %+v", f)
	}
}

// TestS60DoctorReportsClockSkew: far off is a failure, a little off a warning.
func TestS60DoctorReportsClockSkew(t *testing.T) {
	h := newHosted(t)
	for skew, want := range map[time.Duration]provision.Status{0: provision.StatusOK, time.Minute: provision.StatusWarn,
		-time.Minute: provision.StatusWarn, -10 * time.Minute: provision.StatusFail} {
		h.now = func() time.Time { return time.Now().Add(skew) }
		if _, found := h.diagnosis(t, "clock"); found["clock"].Status != want {
			t.Errorf("skew %v: %+v, want %s", skew, found["clock"], want)
		}
	}
}

// TestS61DoctorWritesNothing: neither on the platform nor, without --deep, in the
// store of messages.
func TestS61DoctorWritesNothing(t *testing.T) {
	h := newHosted(t)
	items := func() int {
		a := h.fake.Snapshot()
		return len(a.KVStore(a.Services[0].Versions[0].Link("messages").StoreID).Items)
	}
	h.fake.ForgetRequests()
	h.diagnosis(t)
	for _, r := range h.fake.Requests() {
		if r.Write() {
			t.Errorf("doctor sent %s %s", r.Method, r.Path)
		}
	}
	if n := items(); n != 0 {
		t.Errorf("%d messages are stored", n)
	}
	if _, found := h.diagnosis(t, "--deep", "retained"); found["retained"].Status != provision.StatusOK {
		t.Errorf("--deep: %+v", found["retained"])
	}
}

// TestS62StreamErrorIsAFailure: the app refuses a stream with status 200.
func TestS62StreamErrorIsAFailure(t *testing.T) {
	h := newHosted(t)
	h.active(func(a *fastlytest.Account, v *fastlytest.Version) {
		a.KVStore(v.Link("keys").StoreID).Items["k1"].Value = []byte("other")
	})
	_, found := h.diagnosis(t, "subscribe")
	if f := found["subscribe"]; f.Status != provision.StatusSkip || !strings.Contains(f.Detail, "forbidden") {
		t.Errorf("subscribe is %+v", f)
	}
}

// TestDoctorFromOutside: without an API token it looks at what shows.
func TestDoctorFromOutside(t *testing.T) {
	h := newHosted(t)
	h.setenv("FASTLY_API_TOKEN", "")
	h.writeContext(t, "")
	text := strings.Replace(readHome(t, h, "pubsubctl/config.toml"), "api_token = \"env:FASTLY_API_TOKEN\"\n", "", 1)
	h.write(t, "pubsubctl/config.toml", text)
	h.active(func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Fanout = false })
	code, found := h.diagnosis(t)
	if code != 8 || found["fanout"].Status != provision.StatusSkip || found["publish"].Status != provision.StatusFail {
		t.Errorf("exit %d, %+v", code, found)
	}
}

// TestFixNamesTheContext: a fix for a context that is not the current one says so,
// and repeats what chose the service.
func TestFixNamesTheContext(t *testing.T) {
	h := newHosted(t)
	h.write(t, "pubsubctl/config.toml", strings.Replace(readHome(t, h, "pubsubctl/config.toml"), `current = "chat"`, `current = "local"`, 1))
	h.active(func(a *fastlytest.Account, v *fastlytest.Version) {
		clear(a.KVStore(v.Link("keys").StoreID).Items)
	})
	_, found := h.diagnosis(t, "-c", "chat", "--api-url", h.relay.Ready().FastlyAPI)
	want := "pubsubctl key create --save -c chat --api-url " + h.relay.Ready().FastlyAPI
	if fix := found["signing-key"].Fix; fix != want {
		t.Fatalf("fix %q, want %q", fix, want)
	}
	runFix(t, h, want)
	if code, _ := h.diagnosis(t, "-c", "chat"); code != 0 {
		t.Errorf("after it: exit %d", code)
	}
}
