package provision

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestLockIsHeldFromTheFirst: another process that comes while the lock is just made,
// and nothing is in it yet, is turned away too; one that was killed leaves no lock.
func TestLockIsHeldFromTheFirst(t *testing.T) {
	if dir := os.Getenv("LOCK_OF_TEST"); dir != "" {
		if _, err := (&Book{Dir: dir}).Lock(); err != nil {
			os.Exit(3)
		}
		os.Exit(0) // without unlocking
	}
	b := &Book{Dir: t.TempDir()}
	other := func() int {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockIsHeldFromTheFirst$") //nolint:gosec // this program
		c.Env = append(os.Environ(), "LOCK_OF_TEST="+b.Dir)
		_ = c.Run()
		return c.ProcessState.ExitCode()
	}
	unlock, err := b.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(b.Dir, "lock"), 0); err != nil {
		t.Fatal(err)
	}
	if code := other(); code != 3 {
		t.Errorf("another process has the lock as well: exit %d", code)
	}
	unlock()
	if code := other(); code != 0 {
		t.Errorf("a lock that was given up is held: exit %d", code)
	}
	unlock, err = b.Lock()
	if err != nil {
		t.Fatalf("the lock of a process that has ended is held: %v", err)
	}
	unlock()
}
