package cmd

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// TestStatusFitsTheScreen: a service with something missing, at three widths and
// piped.
func TestStatusFitsTheScreen(t *testing.T) {
	out := statusJSON{Context: "chat", KeyID: "ab12cd34", Summary: provision.Summary{
		App:  provision.AppSummary{URL: "https://pubsub-gyasxna7utam.edgecompute.app", Answers: true, Detail: "answers in 12 ms", SSE: true, HTTPPublish: true},
		Made: 8, Adopted: 1, Pending: []provision.Action{{Step: provision.StepKVMessages}, {Step: provision.StepActivate}},
		Service: &provision.ServiceSummary{ID: "SU1Z0isxPaozGVKXdv0eY", Name: "chat", Version: 3, Active: true, Drafts: []int{4}, Domains: []string{"pubsub-gyasxna7utam.edgecompute.app", "events.example.com"},
			Fanout: true, Package: "Pub/Sub", Stores: map[string]string{"config": "a", "secrets": "b", "keys": "c"}, Keys: []string{"ab12cd34", "ef56ab78"}},
	}}
	for _, width := range []int{0, 40, 80, 200} {
		var b bytes.Buffer
		s := ui.Buffers(ui.EnvOf([]string{"TZ=UTC"}), nil, &b, &b)
		s.Width = width
		if err := (deps{io: s, flags: &globals{}}).statusText(account{aim: func(command string) string { return command }}, out); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("status_%d.txt", width), b.String())
	}
}

// TestStatusWritesNothing: it asks the platform and the app by reads alone.
func TestStatusWritesNothing(t *testing.T) {
	h := newHosted(t)
	h.fake.ForgetRequests()
	code, out, errs := h.run(t, "status", "--json")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if n := h.writes(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// TestStatusSaysWhatIsMissing: of each fault that setup mends, the step is named.
func TestStatusSaysWhatIsMissing(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	h.active(func(a *fastlytest.Account, v *fastlytest.Version) {
		a.Services[0].Fanout = false
		v.Backend("self").Fields["override_host"] = nil
		a.SecretStores[0].Secrets = nil
	})
	code, out, errs := h.run(t, "status", "--jq", "[.pending[].step]")
	if code != 0 || out != `["fanout","backend-self","publish-token","activate"]`+"\n" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}
