//go:build darwin || linux

package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// TestFullDisk runs in a process of its own, whose files may not grow beyond a
// limit: to a program that is the same as a full disk.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "fill", dir)
	for c.lines.Scan() {
		t.Log(c.lines.Text())
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, Options{})
	slot, err := s.Get(t.Context(), "last", pubsub.Version{})
	if err != nil || string(slot.Entry.Data) != "there is room again" {
		t.Errorf("Get(last) = %+v, %v", slot, err)
	}
}

// childFills writes until there is no more space, checks that everything
// acknowledged stays readable, and goes on when there is space again.
func childFills(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		return err
	}
	versions, err := fillUp(ctx, s)
	if err != nil {
		return err
	}
	for i, v := range versions {
		slot, err := s.Get(ctx, pubsub.Topic(fmt.Sprint(i)), pubsub.Version{})
		if err != nil || slot.Version != v || len(slot.Entry.Data) != fillSize {
			return fmt.Errorf("topic %d of %d after the disk was full: %v, %w", i, len(versions), slot.Version, err)
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if _, err := s.Put(ctx, "last", text("there is room again")); err != nil {
		return fmt.Errorf("put with room again: %w", err)
	}
	return s.Close()
}

const fillSize = 50_000

// fillUp writes to ever new topics until a write fails, and returns the versions
// of those that did not.
func fillUp(ctx context.Context, s *Store) ([]pubsub.Version, error) {
	var versions []pubsub.Version
	for range 1000 {
		topic := pubsub.Topic(fmt.Sprint(len(versions)))
		v, err := s.Put(ctx, topic, text(string(make([]byte, fillSize))))
		if err != nil {
			fmt.Printf("%d writes, then: %v\n", len(versions), err)
			if _, err := s.Get(ctx, topic, pubsub.Version{}); err == nil {
				return nil, errors.New("a refused message is shown to readers")
			}
			return versions, nil
		}
		versions = append(versions, v)
	}
	return nil, errors.New("the limit did not hold")
}
