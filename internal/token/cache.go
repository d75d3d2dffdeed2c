package token

import (
	"hash/maphash"
	"math"
	"strings"
	"sync/atomic"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Bounds of the cache: 8192 tokens of at most 2 KiB. A longer token is judged
// anew each time.
const (
	cacheSets   = 2048 // a power of two
	cacheWays   = 4
	cachedBytes = 2048
	hashedBytes = 32
)

// cache remembers accepted tokens. It is a table of small sets: a token's hash
// picks the set, and the set is searched. Readers take no lock and writers
// replace whole entries, so cores do not wait for one another; two writers in
// one set may lose an entry to each other, which costs a second look and no
// more. Hashed is the end of the signature, which spreads accepted tokens as
// well as the whole token would; what clients send with a forged end only meets
// the few entries of one set.
type cache struct {
	// Static after construction.
	seed maphash.Seed

	// Atomic.
	sets   [cacheSets][cacheWays]atomic.Pointer[entry]
	victim atomic.Uint32 // which way of a full set is given up next
}

// entry is one accepted token; it never changes.
type entry struct {
	token      string
	generation uint64 // of the keys it was checked with
	from, to   int64  // Unix seconds: accepted at from <= now < to
	claims     Claims
}

func newCache() *cache { return &cache{seed: maphash.MakeSeed()} }

func (c *cache) set(tok string) *[cacheWays]atomic.Pointer[entry] {
	end := tok[max(0, len(tok)-hashedBytes):]
	return &c.sets[maphash.String(c.seed, end)%cacheSets]
}

// get returns the claims of tok if it was accepted with the keys of this
// generation and its times allow the whole second now. They must not be changed.
func (c *cache) get(tok string, generation uint64, now int64) *Claims {
	if len(tok) > cachedBytes {
		return nil
	}
	set := c.set(tok)
	for i := range set {
		if e := set[i].Load(); e != nil && e.token == tok && e.current(generation, now) {
			return &e.claims
		}
	}
	return nil
}

func (e *entry) current(generation uint64, now int64) bool {
	return e.generation == generation && e.from <= now && now < e.to
}

// put remembers that tok was accepted with keys of this generation. The
// generation must have been read before the key, or a key that changes in
// between would be trusted under its old value.
func (c *cache) put(tok string, generation uint64, claims Claims) {
	if len(tok) > cachedBytes {
		return
	}
	e := &entry{token: strings.Clone(tok), generation: generation, claims: claims}
	e.from, e.to = claims.window()
	set := c.set(tok)
	for i := range set {
		if old := set[i].Load(); old == nil || old.token == tok || old.generation != generation {
			set[i].Store(e)
			return
		}
	}
	set[c.victim.Add(1)%cacheWays].Store(e)
}

// window is the span of whole seconds in which the times are surely in order.
// The very last moment is left to the exact check.
func (c *Claims) window() (from, to int64) {
	const grace = int64(pubsub.Grace / 1e9)
	from, to = math.MinInt64, math.MaxInt64
	if !c.IssuedAt.IsZero() {
		from = c.IssuedAt.Unix() - grace
	}
	if !c.NotBefore.IsZero() {
		from = max(from, c.NotBefore.Unix()-grace)
	}
	if !c.Expires.IsZero() {
		to = c.Expires.Unix() + grace
	}
	return from, to
}
