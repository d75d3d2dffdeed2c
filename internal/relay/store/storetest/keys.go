package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

func keyCases() []testCase {
	cases := []testCase{
		{"a stored key takes effect at once", keyTakesEffect},
		{"keys are listed by id", listsKeys},
		{"an empty secret is a secret", emptySecret},
		{"deleting needs a key", deleteNeedsKey},
		{"the generation follows every change", generationFollows},
		{"a cache by generation is never stale", generationIsHonest},
		{"keys and messages do not meet", keysApart},
		{"the empty id is refused", func(t *testing.T, open opener) { refusesID(t, open.shelf(t).Keys(), "") }},
		{"a dot is refused as an id", func(t *testing.T, open opener) { refusesID(t, open.shelf(t).Keys(), ".") }},
	}
	for rule, name := range badNames() {
		cases = append(cases, testCase{rule + " is refused in an id", func(t *testing.T, open opener) {
			refusesID(t, open.shelf(t).Keys(), name)
		}})
	}
	return cases
}

func refusesID(t *testing.T, keys store.KeyStore, id string) {
	ctx := context.Background()
	_, get := keys.Get(ctx, id)
	put := keys.Put(ctx, store.Key{ID: id, Secret: []byte("x")})
	for op, err := range map[string]error{"Get": get, "Put": put, "Delete": keys.Delete(ctx, id)} {
		if !errors.Is(err, store.ErrName) {
			t.Errorf("%s(%q): %v, want ErrName", op, id, err)
		}
	}
}

func putKey(t *testing.T, keys store.KeyStore, id, secret string) {
	t.Helper()
	if err := keys.Put(context.Background(), store.Key{ID: id, Secret: []byte(secret)}); err != nil {
		t.Fatalf("Put(%q): %v", id, err)
	}
}

func wantSecret(t *testing.T, keys store.KeyStore, id, secret string) {
	t.Helper()
	if got, err := keys.Get(context.Background(), id); err != nil || string(got) != secret {
		t.Errorf("Get(%q) = %q, %v, want %q", id, got, err, secret)
	}
}

func keyTakesEffect(t *testing.T, open opener) {
	keys := open.shelf(t).Keys()
	if _, err := keys.Get(context.Background(), "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get before Put: %v, want ErrNotFound", err)
	}
	putKey(t, keys, "k", "one")
	wantSecret(t, keys, "k", "one")
	putKey(t, keys, "k", "two\n")
	wantSecret(t, keys, "k", "two\n")
}

func listsKeys(t *testing.T, open opener) {
	keys := open.shelf(t).Keys()
	if all, err := keys.List(context.Background()); err != nil || len(all) != 0 {
		t.Errorf("List of an empty store = %v, %v", all, err)
	}
	for _, id := range []string{"b", "ab", "a", "B"} {
		putKey(t, keys, id, "secret of "+id)
	}
	all, err := keys.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range all {
		ids = append(ids, k.ID)
		if string(k.Secret) != "secret of "+k.ID {
			t.Errorf("key %q has another key's secret", k.ID)
		}
	}
	if want := []string{"B", "a", "ab", "b"}; !slices.Equal(ids, want) {
		t.Errorf("ids = %q, want %q", ids, want)
	}
}

func emptySecret(t *testing.T, open opener) {
	keys := open.shelf(t).Keys()
	putKey(t, keys, "k", "")
	wantSecret(t, keys, "k", "")
}

func deleteNeedsKey(t *testing.T, open opener) {
	keys, ctx := open.shelf(t).Keys(), context.Background()
	if err := keys.Delete(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Delete of nothing: %v, want ErrNotFound", err)
	}
	putKey(t, keys, "k", "one")
	if err := keys.Delete(ctx, "k"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := keys.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get after Delete: %v, want ErrNotFound", err)
	}
}

func generationFollows(t *testing.T, open opener) {
	keys, ctx := open.shelf(t).Keys(), context.Background()
	last := keys.Generation()
	changed := func(what string, want bool) {
		t.Helper()
		if now := keys.Generation(); (now != last) != want {
			t.Errorf("generation changed with %s: %t, want %t", what, now != last, want)
		}
		last = keys.Generation()
	}
	putKey(t, keys, "k", "one")
	changed("a new key", true)
	putKey(t, keys, "k", "two")
	changed("a new secret", true)
	wantSecret(t, keys, "k", "two")
	changed("a look", false)
	if err := keys.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	changed("a deletion", true)
}

// generationIsHonest plays a cache of verified tokens: what it read under a
// generation must be current for as long as the generation stays.
func generationIsHonest(t *testing.T, open opener) {
	keys, ctx := open.shelf(t).Keys(), context.Background()
	putKey(t, keys, "k", "0")
	const changes = 50
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() { // ends after the last change; awaited below
		defer close(done)
		for i := 1; i <= changes; i++ {
			if err := keys.Put(ctx, store.Key{ID: "k", Secret: fmt.Append(nil, i)}); err != nil {
				t.Error(err)
			}
		}
	})
	cached := map[uint64]string{}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		g := keys.Generation()
		secret, err := keys.Get(ctx, "k")
		if err != nil {
			t.Fatal(err)
		}
		cached[g] = string(secret)
	}
	wg.Wait()
	if got := cached[keys.Generation()]; got != fmt.Sprint(changes) {
		t.Errorf("the cache holds %q under the last generation, want %d", got, changes)
	}
}

func keysApart(t *testing.T, open opener) {
	s := open.shelf(t)
	putKey(t, s.Keys(), "r:a", "secret")
	if err := s.getErr("a", none); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of a topic named as a key: %v, want ErrNotFound", err)
	}
	s.put("k", "message")
	if _, err := s.Keys().Get(context.Background(), "r:k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of a key named as a topic: %v, want ErrNotFound", err)
	}
}
