package provision

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

var update = flag.Bool("update", false, "rewrite the golden plans")

// scene is what Diff compares, made of values alone.
type scene struct {
	spec Spec
	is   *State
	led  *Ledger
}

// newAccount is an account with nothing in it.
func newAccount() scene {
	return scene{
		spec: Spec{Name: "chat", Messages: true, Test: true, PublishToken: config.NewSecret("t"),
			Package: &Archive{Name: AppName, Language: "rust", FilesHash: strings.Repeat("0123456789abcdef", 8), Content: make([]byte, 2_100_000)}},
		is:  &State{Stores: map[string]fastly.Store{}, Budget: fastly.Budget{Known: true, Remaining: 986, Reset: time.Date(2026, 11, 25, 13, 0, 0, 0, time.UTC)}},
		led: &Ledger{Install: "installinstall00", ServiceName: "chat", Prefix: "pubsub_abc123"},
	}
}

// complete is what a whole run leaves.
func complete() scene {
	s := newAccount()
	s.led.Domain, s.led.Secret, s.led.KeyID, s.led.ServiceID = "pubsub-installinsta.edgecompute.app", "digest", "key1", "svc"
	s.led.TokenMark = s.led.Mark(s.spec.PublishToken)
	s.led.Created = []Object{{Kind: ObjectService, ID: "svc", Name: "chat"}}
	s.is.Service = &fastly.Service{ID: "svc", Name: "chat", Type: fastly.Compute, Active: 1, Comment: "install=" + s.led.Install,
		Versions: []fastly.Version{{Number: 1, Active: true, Locked: true}}}
	s.is.Version, s.is.Fanout, s.is.Keys = 1, true, []string{"key1"}
	s.is.Secret = &fastly.Secret{Name: SecretPublishToken, Digest: "digest"}
	s.is.Domains = []fastly.Domain{{Name: s.led.Domain}}
	s.is.Backends = []fastly.Backend{SelfBackend(s.led.Domain), APIBackend()}
	s.is.Package = fastly.Package{Name: AppName, FilesHash: s.spec.Package.FilesHash}
	for _, step := range storeSteps() {
		link, kind := storeOf(step)
		store := fastly.Store{Kind: kind, ID: "id-" + link, Name: s.led.storeName(link)}
		s.is.Stores[link] = store
		s.is.Links = append(s.is.Links, fastly.Link{ID: "l-" + link, Name: link, StoreID: store.ID, Kind: kind})
		s.led.Created = append(s.led.Created, Object{Kind: storeKind(kind), ID: store.ID, Name: store.Name})
	}
	s.led.Tested = s.led.fingerprint(1)
	return s
}

// broken is a service with several things wrong, made by hand.
func broken() scene {
	s := complete()
	s.led = &Ledger{Install: "installinstall00", Prefix: "pubsub_abc123"}
	s.spec.Adopt, s.spec.PublishToken, s.spec.ConfigItems = true, config.Secret{}, map[string]bool{"http-publish": true}
	s.is.Service.Comment, s.is.Fanout, s.is.Keys = "by hand", false, nil
	s.is.Domains = []fastly.Domain{{Name: "chat.edgecompute.app"}}
	s.is.Package.FilesHash = strings.Repeat("f", 128)
	s.is.Backends[0] = fastly.Backend{Name: BackendSelf, Address: "chat.edgecompute.app", Port: 80}
	s.is.Items = map[string]string{"sse": "True", "http-publish": "false"}
	s.is.Links[2].Name = "keyring"
	s.is.Loose = []fastly.Store{s.is.Stores[LinkKeys]}
	delete(s.is.Stores, LinkKeys)
	delete(s.is.Stores, LinkMessages) // the link leads to nothing
	s.is.Foreign, s.is.Budget.Remaining = []int{2}, 5
	return s
}

// change applies f to a scene.
func change(s scene, f func(*scene)) scene {
	f(&s)
	return s
}

// TestPlans: the plan of each scene, as text and as JSON, is the one kept.
func TestPlans(t *testing.T) {
	for name, s := range map[string]scene{
		"new":        newAccount(),
		"complete":   complete(),
		"broken":     broken(),
		"bare":       change(newAccount(), func(s *scene) { s.spec.Messages, s.spec.Test, s.spec.PublishToken = false, false, config.Secret{} }),
		"own_domain": change(newAccount(), func(s *scene) { s.spec.Domain = "events.example.com" }),
		"only_self":  change(broken(), func(s *scene) { s.spec.Only = StepBackendSelf }),
		"inactive": change(complete(), func(s *scene) {
			s.is.Service.Active, s.is.Service.Versions[0].Active = 0, false
		}),
		"new_token": change(complete(), func(s *scene) { s.spec.PublishToken = config.NewSecret("another") }),
		"retest":    change(complete(), func(s *scene) { s.spec.Only = StepSelfTest }),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Diff(s.spec, s.is, s.led)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "plan_"+name+".txt", strings.Join(p.Lines(), "\n")+"\n")
			golden(t, "plan_"+name+".json", asJSON(t, p)+"\n")
			again, err := Diff(s.spec, s.is, s.led)
			if err != nil || asJSON(t, again) != asJSON(t, p) {
				t.Errorf("another plan the second time: %v", err)
			}
		})
	}
}

// golden compares text with a file of testdata/golden; -update rewrites it.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil || strings.ReplaceAll(string(want), "\r\n", "\n") != text {
		t.Errorf("%s: %v\n%s", name, err, text)
	}
}

// TestPlansThatCannotBe: what Diff refuses.
func TestPlansThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		scene scene
		says  string
	}{
		"no program":      {change(newAccount(), func(s *scene) { s.spec.Package = nil }), "no program"},
		"another program": {change(complete(), func(s *scene) { s.spec.Package, s.is.Package.Name = nil, "hello" }), "another program"},
		"no service":      {change(newAccount(), func(s *scene) { s.spec.Only = StepFanout }), "no service yet"},
		"VCL":             {change(complete(), func(s *scene) { s.is.Service.Type = "vcl" }), "Compute"},
	} {
		if _, err := Diff(c.scene.spec, c.scene.is, c.scene.led); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
