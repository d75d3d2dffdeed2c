package origin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// failure is why the proxy answers by itself, in the words of grip.md, 1.7.
type failure struct {
	text string // for clients in debug mode
}

func (f *failure) Error() string { return f.text }

func tooLarge(from *server) error {
	return &failure{"GRIP instruct response too large from " + from.address}
}

func badInstruct(err error) error {
	text := err.Error()
	var reason grip.Reason
	if errors.As(err, &reason) {
		text = string(reason)
	}
	return &failure{"Failed to parse accept instructions: " + text}
}

const genericFailure = "Error while proxying to origin."

// explain says what a client reads of err.
func (b *backend) explain(err error) string {
	var f *failure
	var u *unreachable
	switch {
	case !b.debug():
	case errors.As(err, &f):
		return f.text + "\n"
	case errors.As(err, &u):
		return "Unable to connect to any targets. Tried: " + strings.Join(u.tried, ", ") + "\n"
	}
	return genericFailure + "\n"
}

func (b *backend) debug() bool { return b.proxy.opt.Debug || b.route.debug }

// failed answers a request that could not be forwarded and names the cause in the
// log.
func (b *backend) failed(r *fanout.Request, err error) *fanout.Response {
	b.tell("request failed", r, err)
	return &fanout.Response{
		Status: http.StatusBadGateway, Header: http.Header{"Content-Type": {"text/plain"}, "Date": nil}, Body: []byte(b.explain(err)),
	}
}

// tell logs what went wrong with an origin. The query stays out of the log: it may
// hold tokens.
func (b *backend) tell(what string, r *fanout.Request, err error) {
	b.proxy.log.Warn(what, "cause", err, "route", b.route.String(), "method", r.Method, "path", r.Path, "conn", r.Conn)
}
