package fanout

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

const (
	// maxFetches is how many follow-ups are under way at once; others wait.
	maxFetches = 64
	// fetchTimeout bounds one follow-up.
	fetchTimeout = 60 * time.Second
	// maxPage bounds the body of a follow-up in bytes.
	maxPage = 8 << 20
	// gatherFor is how long a follow-up waits for others to join it. Shards take
	// their 100 ms steps at the same time, and this lets the last of them ask.
	gatherFor = 5 * time.Millisecond
)

// fetcher makes follow-ups. Streams that ask for the same link with the same
// last ids share one, provided it has not begun when they ask: a follow-up that
// has may already have read what they want to see (grip.md, 2.9). Streams that
// ask in the same step always share.
type fetcher struct {
	ctx     context.Context // ends with the engine; bounds every follow-up
	handler Handler
	log     *slog.Logger
	pool    *crew

	mu       sync.Mutex // guards the following
	waiting  map[fetchKey]*fetch
	running  map[fetchKey]*fetch
	gathered []*fetch    // begin when timer fires
	timer    *time.Timer // nil while nothing is gathered
	queue    []*fetch
	workers  int
}

// base is what links are relative to: how the client asked.
type base struct {
	host   string
	secure bool
}

// fetchKey tells follow-ups apart: the link without its query, and the ids.
type fetchKey struct {
	host string
	path string
	last string
}

// fetch is one follow-up and those who wait for it.
type fetch struct {
	key    fetchKey
	link   string
	secure bool
	last   []grip.Last
	done   []func(*page)
	next   *fetch // for the same key, begins when this one is done
}

func (e *Engine) newFetcher(h Handler) *fetcher {
	return &fetcher{
		ctx: e.ctx, handler: h, log: e.log, pool: &e.work,
		waiting: map[fetchKey]*fetch{}, running: map[fetchKey]*fetch{},
	}
}

// get calls done with the page of a follow-up that begins after get was called.
func (f *fetcher) get(at base, link string, last []grip.Last, done func(*page)) {
	path, _, _ := strings.Cut(link, "?")
	key := fetchKey{at.host, path, joinLast(last)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.waiting[key]; w != nil {
		w.done = append(w.done, done)
		return
	}
	w := &fetch{key: key, link: link, secure: at.secure, last: last, done: []func(*page){done}}
	f.waiting[key] = w
	if r := f.running[key]; r != nil {
		r.next = w
		return
	}
	f.gathered = append(f.gathered, w)
	if f.timer == nil {
		f.timer = time.AfterFunc(gatherFor, f.begin) // fires soon; starts nothing once the engine has ended
	}
}

// begin hands what was gathered to workers.
func (f *fetcher) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.gathered {
		f.enqueue(w)
	}
	f.gathered, f.timer = nil, nil
}

// enqueue hands w to a worker. The caller holds f.mu.
func (f *fetcher) enqueue(w *fetch) {
	f.queue = append(f.queue, w)
	if f.workers < maxFetches {
		f.workers++
		if !f.pool.start(f.work) {
			f.workers--
		}
	}
}

func (f *fetcher) work() {
	for {
		f.mu.Lock()
		if len(f.queue) == 0 {
			f.workers--
			f.mu.Unlock()
			return
		}
		w := f.queue[0]
		f.queue[0] = nil
		f.queue = f.queue[1:]
		delete(f.waiting, w.key)
		f.running[w.key] = w
		f.mu.Unlock()

		p := f.read(w)
		for _, done := range w.done {
			done(p)
		}

		f.mu.Lock()
		delete(f.running, w.key)
		if w.next != nil {
			f.enqueue(w.next)
		}
		f.mu.Unlock()
	}
}

// read asks the Handler and takes in the whole page.
func (f *fetcher) read(w *fetch) *page {
	ctx, cancel := context.WithTimeout(f.ctx, fetchTimeout)
	defer cancel()
	path, query, _ := strings.Cut(w.link, "?")
	resp, err := ask(ctx, f.handler, &Request{
		Method: http.MethodGet, Path: path, RawQuery: query, Host: w.key.host, Secure: w.secure,
		Body: http.NoBody, FollowUp: true, Last: w.last,
	})
	if err != nil {
		return &page{err: err}
	}
	body := resp.Body
	if resp.Stream != nil {
		defer resp.Stream.Close()
		rest, err := io.ReadAll(io.LimitReader(resp.Stream, maxPage+1))
		if err == nil && len(rest) > maxPage {
			err = errLongPage
		}
		if err != nil {
			return &page{err: err}
		}
		body = append(body[:len(body):len(body)], rest...)
	}
	p := &page{status: resp.status(), instruct: resp.Instruct}
	p.chunk, p.raw = encodeChunk(filterBody(f.log, p.instruct, body))
	return p
}

// errLongPage fails a page that would otherwise be cut off in the middle.
var errLongPage = errors.New("page is too long")

func joinLast(last []grip.Last) string {
	var b strings.Builder
	for _, l := range last {
		b.WriteString(l.Channel)
		b.WriteByte(0)
		b.WriteString(l.ID)
		b.WriteByte(0)
	}
	return b.String()
}

// page is what a follow-up brought: content for the stream and how it goes on.
type page struct {
	err        error
	status     int
	instruct   *grip.Instruct
	chunk, raw []byte
}

func (p *page) failed() bool { return p.err != nil || !status2xx(p.status) }

func (p *page) bytes(f hub.Format) []byte {
	if f == formatRaw {
		return p.raw
	}
	return p.chunk
}
