package app

import (
	"context"
	"net/http"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// switches is the config store as the app understands it.
type switches struct {
	broken              bool // some value is neither "true" nor "false"
	sse, publish, admin bool
}

// readSwitches reads the items of the config store. The "mqtt" item is never
// looked at (Quirk Q38).
func readSwitches(items map[string]string) *switches {
	s := &switches{sse: true, publish: true, admin: true}
	for name, on := range map[string]*bool{"sse": &s.sse, "http-publish": &s.publish, "admin": &s.admin} {
		value, ok := items[name]
		if !ok {
			continue
		}
		*on = value == "true"
		s.broken = s.broken || value != "true" && value != "false"
	}
	return s
}

// allowEvents is the Allow header of /events.
func (s *switches) allowEvents() string {
	allow := []string{http.MethodOptions}
	if s.sse {
		allow = append(allow, http.MethodGet)
	}
	if s.publish {
		allow = append(allow, http.MethodPost)
	}
	return strings.Join(allow, ", ")
}

// route takes the decisions of section 2.2 of the app's contract, in its order.
// Paths are compared as sent: a percent-encoded spelling is another path.
func (a *App) route(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	on := a.switches.Load()
	switch {
	case on.broken:
		return a.text(http.StatusInternalServerError, "Configuration process failed.\n"), nil
	case r.Path == "/":
		return a.text(http.StatusOK, "Hello from Fastly Pub/Sub!\n"), nil
	case r.Path == "/events" && (on.sse || on.publish):
		return a.routeEvents(ctx, r, on)
	case r.Path == "/mqtt":
		return a.mqtt(r), nil
	case r.Path == "/admin/keys" && on.admin:
		if r.Method != http.MethodPost {
			return a.notAllowed(http.MethodPost), nil // OPTIONS too: Quirk Q40
		}
		return a.createKey(ctx, r), nil
	}
	return a.text(http.StatusNotFound, "Not Found\n"), nil
}

func (a *App) routeEvents(ctx context.Context, r *fanout.Request, on *switches) (*fanout.Response, error) {
	switch {
	case r.Method == http.MethodOptions:
		return &fanout.Response{Status: http.StatusOK, Header: a.bare}, nil
	case r.Method == http.MethodGet && on.sse:
		if signed(r) {
			return a.unauthorizedProxy(), nil
		}
		if r.FollowUp {
			return a.followUp(ctx, r)
		}
		return a.openStream(ctx, r)
	case r.Method == http.MethodPost && on.publish:
		return a.publish(ctx, r)
	}
	return a.notAllowed(on.allowEvents()), nil
}

// mqtt answers plain HTTP on /mqtt. It cannot be switched off (Quirk Q38), and
// OPTIONS has no answer of its own (Quirk Q40).
func (a *App) mqtt(r *fanout.Request) *fanout.Response {
	switch {
	case signed(r):
		return a.unauthorizedProxy()
	case r.Method != http.MethodPost:
		return a.notAllowed(http.MethodPost)
	}
	if r.Header.Get("Content-Type") == eventsType {
		return directEvents
	}
	return a.text(http.StatusNotAcceptable, "Not Acceptable\n")
}

// eventsType is how WebSocket events travel between Fanout and the app.
const eventsType = "application/websocket-events"

// directEvents is Fanout's own answer, without the app's header, to a client that
// sends what only Fanout may send (grip.md, 1.7).
var directEvents = &fanout.Response{
	Status: http.StatusForbidden, Header: http.Header{"Content-Type": {"text/plain"}},
	Body: []byte("Client not allowed to send WebSocket events directly.\n"),
}

// signed reports whether the client itself sent a Grip-Sig. None that a client
// sends verifies, because the engine and the app share no wire on which one
// would be right.
func signed(r *fanout.Request) bool { return len(r.Header["Grip-Sig"]) > 0 }

func (a *App) unauthorizedProxy() *fanout.Response {
	return a.text(http.StatusInternalServerError, "Failed to authorize Fanout proxy.\n")
}
