package cmd

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// Fifty commands, each with a relay of its own, at once: none gets another's address.
func TestFiftyRelayExecsInParallel(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell")
	}
	const n = 50
	urls := make([]bytes.Buffer, n)
	var all sync.WaitGroup
	dir := t.TempDir()
	for i := range n {
		all.Go(func() {
			var errs bytes.Buffer
			environ := os.Environ()
			code := Run(t.Context(), Invocation{
				Args:    []string{"relay", "exec", "--", "sh", "-c", "echo $PUBSUBCTL_URL"},
				Environ: environ, Dir: dir, Streams: ui.Buffers(ui.EnvOf(environ), nil, &urls[i], &errs),
			})
			if code != 0 {
				t.Errorf("exit code %d: %s", code, errs.String())
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for i := range urls {
		url := urls[i].String()
		if url == "" || seen[url] {
			t.Errorf("address %q is empty or given twice", url)
		}
		seen[url] = true
	}
}
