// Package storetest is the contract of store.Store as tests. A store is done
// when Run passes for it; a bug found in one store becomes a case for all.
//
// It proves what a caller of the interface can see. Durability, damage and the
// bounds of one implementation are for that implementation's own tests. Cases
// that need time run in a synctest bubble, so a store under test may take a real
// lock or write a real file, but must not wait for another process.
package storetest

import (
	"context"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// Run tests the stores that open returns: a new and empty one each time, closed
// by a cleanup of the test that asked for it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, cases := range map[string][]testCase{
		"versions": versionCases(), "expiry": expiryCases(), "names": nameCases(),
		"sharing": sharingCases(), "keys": keyCases(), "archive": archiveCases(),
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.rule, func(t *testing.T) { c.run(t, open) })
			}
		})
	}
}

// testCase is one rule of the contract.
type testCase struct {
	rule string
	run  func(t *testing.T, open opener)
}

// shelf is a store with the calls of a test shortened: what must not fail ends
// the test if it does.
type shelf struct {
	store.Store
	t *testing.T
}

// opener opens stores for one case.
type opener func(t *testing.T) store.Store

// shelf opens a store that belongs to t, which is the inner test in a bubble.
func (open opener) shelf(t *testing.T) shelf { return shelf{open(t), t} }

var none = pubsub.Version{}

func (s shelf) put(topic pubsub.Topic, data string) pubsub.Version {
	s.t.Helper()
	return s.putEntry(topic, store.Entry{Data: []byte(data)})
}

func (s shelf) putEntry(topic pubsub.Topic, e store.Entry) pubsub.Version {
	s.t.Helper()
	v, err := s.Put(context.Background(), topic, e)
	if err != nil {
		s.t.Fatalf("Put(%q): %v", topic, err)
	}
	return v
}

func (s shelf) get(topic pubsub.Topic) store.Slot {
	s.t.Helper()
	slot, err := s.Get(context.Background(), topic, none)
	if err != nil {
		s.t.Fatalf("Get(%q): %v", topic, err)
	}
	return slot
}

// getErr returns the error of a Get at a version.
func (s shelf) getErr(topic pubsub.Topic, after pubsub.Version) error {
	_, err := s.Get(context.Background(), topic, after)
	return err
}

func (s shelf) remove(topic pubsub.Topic) {
	s.t.Helper()
	if err := s.Delete(context.Background(), topic); err != nil {
		s.t.Fatalf("Delete(%q): %v", topic, err)
	}
}

// wantMessage checks that the slot holds data at version v.
func wantMessage(t *testing.T, slot store.Slot, v pubsub.Version, data string) {
	t.Helper()
	switch {
	case slot.Version != v:
		t.Errorf("version = %v, want %v", slot.Version, v)
	case slot.Entry == nil:
		t.Errorf("no message at %v, want %q", v, data)
	case string(slot.Entry.Data) != data:
		t.Errorf("data = %q, want %q", slot.Entry.Data, data)
	}
}
