package cmd

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// Fifty commands, each with a relay of its own, at once: none gets another's address.
func TestFiftyRelayExecsInParallel(t *testing.T) {
	dir := t.TempDir()
	if err := exec.CommandContext(t.Context(), "mkfifo", filepath.Join(dir, "urls"), filepath.Join(dir, "go")).Run(); err != nil {
		t.Skip("there are no named pipes:", err)
	}
	// Open at both ends, so that neither side waits for the other. All commands run
	// at once: a relay that has ended frees its port for the next.
	urls, err := os.OpenFile(filepath.Join(dir, "urls"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer urls.Close()
	const n = 50
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			var out, errs bytes.Buffer
			environ := os.Environ()
			code := Run(t.Context(), Invocation{
				Args:    []string{"relay", "exec", "--", "sh", "-c", "echo $PUBSUBCTL_URL >urls; read line <go; exit 7"},
				Environ: environ, Dir: dir, Streams: ui.Buffers(ui.EnvOf(environ), nil, &out, &errs),
			})
			if code != 7 {
				t.Errorf("exit code %d: %s", code, errs.String())
			}
		})
	}
	seen := map[string]bool{}
	for in := bufio.NewReader(urls); len(seen) < n; {
		url, err := in.ReadString('\n')
		if err != nil || len(url) < len("http://") || seen[url] {
			t.Fatalf("address %q is empty or given twice, %v", url, err)
		}
		seen[url] = true
	}
	start, err := os.OpenFile(filepath.Join(dir, "go"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer start.Close()
	for range n {
		if _, err := start.WriteString("go\n"); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}
