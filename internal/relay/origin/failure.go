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
	status int
	text   string // for clients in debug mode
	always bool   // for all clients
}

func (f *failure) Error() string { return f.text }

var (
	errRequestTooLarge = &failure{http.StatusBadRequest, "Request too large to accept GRIP instruct.", true}
)

func tooLarge(from *server) error {
	return &failure{http.StatusBadGateway, "GRIP instruct response too large from " + from.address, false}
}

func badInstruct(err error) error {
	text := err.Error()
	var reason grip.Reason
	if errors.As(err, &reason) {
		text = string(reason)
	}
	return &failure{http.StatusBadGateway, "Failed to parse accept instructions: " + text, false}
}

const genericFailure = "Error while proxying to origin."

// explain says what a client reads of err.
func (b *backend) explain(err error) (status int, text string) {
	debug := b.proxy.opt.Debug || b.route.debug
	var f *failure
	var u *unreachable
	switch {
	case errors.As(err, &f):
		if f.always || debug {
			return f.status, f.text + "\n"
		}
		return f.status, genericFailure + "\n"
	case errors.As(err, &u) && debug:
		return http.StatusBadGateway, "Unable to connect to any targets. Tried: " + strings.Join(u.tried, ", ") + "\n"
	}
	return http.StatusBadGateway, genericFailure + "\n"
}

// failed answers a request that could not be forwarded and names the cause in the
// log.
func (b *backend) failed(r *fanout.Request, err error) *fanout.Response {
	b.tell("request failed", r, err)
	status, text := b.explain(err)
	return &fanout.Response{
		Status: status, Header: http.Header{"Content-Type": {"text/plain"}, "Date": nil}, Body: []byte(text),
	}
}

// tell logs what went wrong with an origin. The query stays out of the log: it may
// hold tokens.
func (b *backend) tell(what string, r *fanout.Request, err error) {
	b.proxy.log.Warn(what, "cause", err, "route", b.route.String(), "method", r.Method, "path", r.Path, "conn", r.Conn)
}
