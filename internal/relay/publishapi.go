package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

const (
	// defaultPublishLimit is how large a publish request may be, as in Pushpin's
	// example configuration.
	defaultPublishLimit = 1_000_000
	// leastServiceLimit is what Fastly's paths take, whatever the limit of /publish/,
	// unless they are given one of their own: a message of the Pub/Sub app at its
	// own largest makes a request of 76 to 109 kB (grip.md, 3.1).
	leastServiceLimit = 256 << 10
	// longestChannel is how much of a channel's name a line of the log may have.
	longestChannel = 256
)

// publisher is what the publish API needs of the engine.
type publisher interface {
	Publish(ctx context.Context, items ...*grip.Item) (receivers int, err error)
	// Recover forgets the last ids of all channels and has the origins of held
	// connections asked anew (grip.md, 2.11).
	Recover()
}

// publishAPI is where items are published over HTTP: at Pushpin's path and at
// both of Fastly's (grip.md, 3). The answer comes once all items of a request
// are on their way; a request with any mistake in it publishes nothing.
//
// Unlike Pushpin it takes bodies in chunks, queries behind the path, calls of
// /recover/ without a length, and keeps connections open; it answers HEAD without
// a body; and net/http answers what is no HTTP, in its own words.
type publishAPI struct {
	// Static.
	publisher    publisher
	gate         *gate // nil lets everybody in
	limit        int64 // of a request's body at /publish/
	serviceLimit int64 // the same at Fastly's paths
	log          *slog.Logger

	bodies sync.Pool // of *bytes.Buffer
}

func newPublishAPI(o Options, p publisher) *publishAPI {
	a := &publishAPI{publisher: p, gate: newGate(o.PublishKey), limit: o.PublishLimit, serviceLimit: o.ServicePublishLimit, log: o.Log}
	a.bodies.New = func() any { return new(bytes.Buffer) }
	return a
}

// endpoint is what a path of the control plane stands for.
type endpoint uint8

const (
	noEndpoint endpoint = iota
	greeting            // /
	publishOne          // /publish
	publishFor          // /service/ID/publish and /ID/publish
	recoverAll          // /recover
)

// endpointOf reads a path. One slash at its end makes no difference.
func endpointOf(path string) endpoint {
	switch path = strings.TrimSuffix(path, "/"); path {
	case "":
		return greeting
	case "/publish":
		return publishOne
	case "/recover":
		return recoverAll
	}
	id, ok := strings.CutSuffix(path, "/publish")
	id = strings.TrimPrefix(strings.TrimPrefix(id, "/"), "service/")
	if ok && id != "" && !strings.Contains(id, "/") {
		return publishFor
	}
	return noEndpoint
}

// ServeHTTP implements http.Handler.
func (a *publishAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch e := endpointOf(r.URL.Path); e {
	case greeting:
		plain(w, http.StatusOK, "Pushpin API\n")
	case publishOne:
		a.call(w, r, func(w http.ResponseWriter, r *http.Request, as string) { a.publish(w, r, as, a.limit) })
	case publishFor:
		a.call(w, r, func(w http.ResponseWriter, r *http.Request, as string) { a.publish(w, r, as, a.serviceLimit) })
	case recoverAll:
		a.call(w, r, a.recover)
	default:
		plain(w, http.StatusNotFound, "Not Found\n")
	}
}

// call checks what all calls have in common: the method, the key, and the type
// of the answer, which it passes on.
func (a *publishAPI) call(w http.ResponseWriter, r *http.Request, do func(http.ResponseWriter, *http.Request, string)) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		plain(w, http.StatusMethodNotAllowed, "Method not allowed: "+r.Method+".\n")
		return
	}
	if !a.gate.admits(r) {
		a.refused(r, http.StatusUnauthorized, "the publish key is missing or wrong")
		// Two lines, because older clients read one challenge from each.
		w.Header().Add("WWW-Authenticate", `Bearer realm="publish"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="publish"`)
		plain(w, http.StatusUnauthorized, "Unauthorized\n")
		return
	}
	as, ok := acceptable(r.Header.Values("Accept"))
	if !ok {
		a.refused(r, http.StatusNotAcceptable, "unknown type in Accept")
		plain(w, http.StatusNotAcceptable, "Not Acceptable. Supported formats are text/plain and application/json.\n")
		return
	}
	do(w, r, as)
}

const (
	typeText = "text/plain"
	typeJSON = "application/json"
)

// acceptable chooses the type of the answer: the last one named that there is,
// as Pushpin does, which looks neither at weights nor beyond small letters.
func acceptable(accept []string) (as string, ok bool) {
	if len(accept) == 0 {
		return typeText, true
	}
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			media, _, _ := strings.Cut(part, ";")
			switch strings.TrimSpace(media) {
			case typeText, "text/*", "*/*", "*":
				as = typeText
			case typeJSON, "application/*":
				as = typeJSON
			}
		}
	}
	return as, as != ""
}

// done answers a call that has been carried out.
func done(w http.ResponseWriter, as, word string) {
	if as == typeJSON {
		answer(w, http.StatusOK, typeJSON, `{"message":"`+word+`"}`+"\n")
		return
	}
	plain(w, http.StatusOK, word+"\n")
}

func plain(w http.ResponseWriter, status int, body string) { answer(w, status, typeText, body) }

func answer(w http.ResponseWriter, status int, media, body string) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that is gone has nothing to be told
}

// publishRefusal is why a request is not carried out.
type publishRefusal struct {
	status int
	text   string // of the answer, without the line's end
}

func (e *publishRefusal) Error() string { return e.text }

func (a *publishAPI) publish(w http.ResponseWriter, r *http.Request, as string, limit int64) {
	items, err := a.items(r, limit)
	var receivers int
	if err == nil {
		receivers, err = a.publisher.Publish(r.Context(), items...)
	}
	var no *publishRefusal
	switch {
	case err == nil:
		a.published(r, items, receivers)
		done(w, as, "Published")
		return
	case !errors.As(err, &no):
		no = &publishRefusal{http.StatusServiceUnavailable, "Not published: " + err.Error()}
	}
	a.refused(r, no.status, no.text)
	plain(w, no.status, no.text+"\n")
}

// items reads all items of a request. The error is a *publishRefusal.
func (a *publishAPI) items(r *http.Request, limit int64) ([]*grip.Item, error) {
	body := a.bodies.Get().(*bytes.Buffer)
	defer a.putBack(body)
	if err := read(body, r, limit); err != nil {
		return nil, err
	}
	// Some systems put a byte order mark in front of whatever they write.
	text := bytes.TrimPrefix(body.Bytes(), []byte("\ufeff"))
	items, err := grip.ParsePublish(text) // keeps nothing of text
	if err != nil {
		return nil, &publishRefusal{http.StatusBadRequest, invalid(err)}
	}
	return items, nil
}

// invalid is what Pushpin says of a body that cannot be read.
func invalid(err error) string {
	var reason grip.Reason // as a string: the one for an unknown action is empty on the wire
	switch errors.As(err, &reason); reason {
	case grip.ErrNotJSON:
		return "Body is not valid JSON."
	case grip.ErrNotObject:
		return "Invalid format."
	}
	return "Invalid format: " + string(reason)
}

// maxKept is the largest buffer that is used again; one for a rare huge batch
// is not worth keeping.
const maxKept = 64 << 10

func (a *publishAPI) putBack(body *bytes.Buffer) {
	if body.Cap() <= maxKept {
		body.Reset()
		a.bodies.Put(body)
	}
}

// read takes the body of a request. One that comes in chunks is fine, one
// without any length is not.
func read(body *bytes.Buffer, r *http.Request, limit int64) error {
	tooLarge := &publishRefusal{http.StatusBadRequest, "Request body too large."}
	switch {
	case r.ContentLength > limit:
		return tooLarge
	case r.ContentLength == 0 && r.Header.Get("Content-Length") == "":
		return &publishRefusal{http.StatusLengthRequired, "Request requires Content-Length."}
	}
	if r.ContentLength > 0 {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := body.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case n > limit:
		return tooLarge
	case err != nil:
		return &publishRefusal{http.StatusBadRequest, "Request body is incomplete."}
	}
	return nil
}

func (a *publishAPI) recover(w http.ResponseWriter, r *http.Request, as string) {
	a.publisher.Recover()
	a.log.Info("held connections are asked anew", "remote", r.RemoteAddr)
	done(w, as, "Updated")
}

// published writes one line for each item, or one for a batch.
func (a *publishAPI) published(r *http.Request, items []*grip.Item, receivers int) {
	if len(items) == 0 || !a.log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	attrs := []slog.Attr{slog.String("remote", r.RemoteAddr)}
	if len(items) == 1 {
		attrs = append(attrs, slog.String("channel", clip(items[0].Channel)), slog.String("formats", formats(items[0])))
	} else {
		attrs = append(attrs, slog.Int("items", len(items)))
	}
	a.log.LogAttrs(r.Context(), slog.LevelInfo, "published item", append(attrs, slog.Int("delivered", receivers))...)
}

func (a *publishAPI) refused(r *http.Request, status int, cause string) {
	a.log.LogAttrs(r.Context(), slog.LevelWarn, "publish refused",
		slog.String("remote", r.RemoteAddr), slog.Int("status", status), slog.String("cause", cause))
}

func clip(name string) string {
	if len(name) > longestChannel {
		return name[:longestChannel] + "..."
	}
	return name
}

// formats names the formats of an item, with the action where it is not to send.
func formats(it *grip.Item) string {
	var names []string
	add := func(name string, a grip.Action) {
		if a != grip.Send {
			name += ":" + a.String()
		}
		names = append(names, name)
	}
	if it.HTTPResponse != nil {
		add("http-response", it.HTTPResponse.Action)
	}
	if it.HTTPStream != nil {
		add("http-stream", it.HTTPStream.Action)
	}
	if it.WSMessage != nil {
		add("ws-message", it.WSMessage.Action)
	}
	return strings.Join(names, " ")
}
