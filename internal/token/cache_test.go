package token

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counting is a key source that can change and says how often it was asked.
type counting struct {
	asked, generation atomic.Uint64
	secret            atomic.Pointer[string]
}

func newCounting() *counting {
	k, s := &counting{}, secret
	k.secret.Store(&s)
	return k
}

func (k *counting) Get(context.Context, string) ([]byte, error) {
	k.asked.Add(1)
	return []byte(*k.secret.Load()), nil
}

func (k *counting) Generation() uint64 { return k.generation.Load() }

func (k *counting) replace(secret string) {
	k.secret.Store(&secret)
	k.generation.Add(1)
}

func TestCacheRemembersUntilAKeyChanges(t *testing.T) {
	keys := newCounting()
	v := NewVerifier(keys)
	for range 3 {
		if c, err := v.Verify(t.Context(), vRW, now); err != nil || c.KeyID != "test" || !c.Grant().CanWrite("test") {
			t.Fatalf("got %+v, %v", c, err)
		}
	}
	if n := keys.asked.Load(); n != 1 {
		t.Errorf("asked for the key %d times", n)
	}
	keys.replace("another")
	if _, err := v.Verify(t.Context(), vRW, now); err == nil {
		t.Error("accepted with a key that is gone")
	}
	keys.replace(secret)
	if _, err := v.Verify(t.Context(), vRW, now); err != nil || keys.asked.Load() != 3 {
		t.Errorf("%v after %d questions", err, keys.asked.Load())
	}
}

func TestCacheRespectsTheTimes(t *testing.T) {
	tok := sign(goodHeader, `{"nbf":1999990000,"iat":1999980000,"exp":2000000000}`, secret)
	for _, c := range []struct {
		name string
		at   int64
		nsec int64
		ok   bool
	}{
		{"well inside", 1999995000, 0, true},
		{"first second", 1999989100, 0, true},
		{"just before", 1999989099, 999999999, false},
		{"last whole second", 2000000899, 999999999, true},
		{"last moment", 2000000900, 0, true},
		{"just past", 2000000900, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := NewVerifier(testKeys())
			if _, err := v.Verify(t.Context(), tok, time.Unix(1999995000, 0)); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(t.Context(), tok, time.Unix(c.at, c.nsec)); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCacheDoesNotRememberRefusals(t *testing.T) {
	keys := newCounting()
	v := NewVerifier(keys)
	for range 2 {
		if _, err := v.Verify(t.Context(), vExpired, now); err == nil {
			t.Fatal("accepted")
		}
	}
	if n := keys.asked.Load(); n != 2 {
		t.Errorf("asked for the key %d times", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	keys := newCounting()
	v := NewVerifier(keys)
	long := sign(goodHeader, `{"p":"`+strings.Repeat("p", cachedBytes)+`"}`, secret)
	for range 2 {
		if _, err := v.Verify(t.Context(), long, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := keys.asked.Load(); n != 2 {
		t.Errorf("a token of %d bytes was kept (%d questions)", len(long), n)
	}
	c := newCache()
	for i := range 3 * cacheSets * cacheWays {
		c.put(fmt.Sprint("token", i), 0, Claims{})
	}
	last := fmt.Sprint("token", 3*cacheSets*cacheWays-1)
	if c.get(last, 0, 0) == nil {
		t.Error("the newest token is not there")
	}
	kept := 0
	for i := range 3 * cacheSets * cacheWays {
		if c.get(fmt.Sprint("token", i), 0, 0) != nil {
			kept++
		}
	}
	if kept > cacheSets*cacheWays || kept < cacheSets*cacheWays/2 {
		t.Errorf("%d tokens kept, room for %d", kept, cacheSets*cacheWays)
	}
}

// A key replaced while a token is being checked must not leave the token
// accepted under the old one.
func TestCacheKeyChangesDuringTheCheck(t *testing.T) {
	keys := newCounting()
	v := NewVerifier(racing{keys})
	if _, err := v.Verify(t.Context(), vRW, now); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), vRW, now); err == nil {
		t.Error("accepted with a key that is gone")
	}
}

// racing replaces the key right after handing it out.
type racing struct{ *counting }

func (r racing) Get(ctx context.Context, kid string) ([]byte, error) {
	s, err := r.counting.Get(ctx, kid)
	r.replace("another")
	return s, err
}

func TestCacheConcurrently(t *testing.T) {
	keys := newCounting()
	v := NewVerifier(keys)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 300 {
				tok := sign(goodHeader, fmt.Sprintf(`{"sub":"%d"}`, i%50), secret)
				if g == 0 && i%10 == 0 {
					keys.replace(secret)
				}
				if c, err := v.Verify(t.Context(), tok, now); err != nil || c.Subject != fmt.Sprint(i%50) {
					t.Errorf("token %d: %+v, %v", i%50, c, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	v := NewVerifier(testKeys())
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(ctx, vRW, now); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkVerify(b *testing.B) {
	keys := testKeys()
	get := func(kid string) ([]byte, error) { return keys.Get(b.Context(), kid) }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify(vRW, now, get); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	v, ctx := NewVerifier(testKeys()), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, vRW, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyCachedParallel(b *testing.B) {
	v, ctx := NewVerifier(testKeys()), b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(ctx, vRW, now); err != nil {
				b.Error(err)
			}
		}
	})
}
