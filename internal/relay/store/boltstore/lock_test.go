package boltstore

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestSecondOpenIsToldWhoHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		openStore(t, dir, Options{})
		start := time.Now()
		_, err := Open(t.Context(), dir, Options{})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "another relay") {
			t.Errorf("Open: %v, want ErrLocked in plain words", err)
		}
		if waited := time.Since(start); waited != DefaultLockWait {
			t.Errorf("gave up after %v, want %v", waited, DefaultLockWait)
		}
	})
}

func TestOpenWaitsForTheFirstToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first := openStore(t, dir, Options{})
		time.AfterFunc(DefaultLockWait/2, func() { closeStore(t, first) })
		openStore(t, dir, Options{})
	})
}

func TestWaitingForTheLockCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		openStore(t, dir, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), DefaultLockWait/2)
		defer cancel()
		if _, err := Open(ctx, dir, Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Open: %v, want the end of the context", err)
		}
	})
}

func TestLockEndsWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "hold", dir)
	if !c.lines.Scan() {
		t.Fatal("the child did not open the store")
	}
	if _, err := Open(context.Background(), dir, Options{LockWait: lockPoll}); !errors.Is(err, ErrLocked) {
		t.Errorf("Open beside another process: %v, want ErrLocked", err)
	}
	c.kill(t)
	openStore(t, dir, Options{})
}

func TestFileInUseByATool(t *testing.T) {
	dir := t.TempDir()
	closeStore(t, openStore(t, dir, Options{}))
	db, err := bolt.Open(filepath.Join(dir, dataFile), 0o600, boltOptions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("Open: %v, want ErrLocked", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir, Options{})
}
