package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// TestS49NoSecretShows: whatever these commands print, log and write, with all that
// can be said switched on, no secret is in it but where it belongs.
func TestS49NoSecretShows(t *testing.T) {
	t.Setenv("FASTLY_DEBUG_MODE", "true") // the library prints bodies then, if it is let
	h := newHosted(t)
	h.note(t)
	const apiToken = "api-token-planted-secret"
	h.fake.AddToken(fastlytest.Token{ID: "planted", Value: apiToken})
	h.setenv("FASTLY_API_TOKEN", apiToken)
	secrets := []string{apiToken, hostedPublishToken, hostedKeySecret}
	said := ""
	life := [][]string{
		{"doctor", "--deep"}, {"doctor", "--json"}, {"key", "list"}, {"key", "create", "--save"}, {"key", "rotate", "--json"},
		{"doctor"}, {"key", "delete", "k1"}, {"teardown", "--dry-run"}, {"teardown", "--json"}, {"doctor"},
	}
	for _, args := range life {
		for _, format := range []string{"text", "json"} {
			if format == "json" && (args[0] != "doctor" || len(args) > 1) {
				continue // once is enough of what changes something
			}
			code, out, errs := h.run(t, append(args, "-vv", "--log-format", format)...)
			if code != 0 && code != 8 {
				t.Fatalf("%q: exit %d: %s", args, code, errs)
			}
			if made := strings.TrimSpace(out); args[0] == "key" && args[1] == "create" {
				secrets = append(secrets, made)
				out = ""
			}
			said += out + errs
		}
	}
	for _, secret := range secrets {
		if strings.Contains(said, secret) {
			t.Errorf("%.12s... is said", secret)
		}
	}
	belongs := map[string]bool{"secrets": true} // and the contexts file, into which the test wrote one
	err := filepath.WalkDir(h.home, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || belongs[filepath.Base(filepath.Dir(path))] || e.Name() == "config.toml" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s has %.12s...", path, secret)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if !strings.Contains(said, "/tokens/self") {
		t.Error("nothing was logged, so nothing is proven")
	}
}
