package origin

import (
	"net/http"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// testChannel is the one that the built-in test origin subscribes to.
const testChannel = "test"

// testRequest answers for the target "test": a route can be tried without any
// origin.
func testRequest(r *fanout.Request) *fanout.Response {
	resp := &fanout.Response{Header: http.Header{"Content-Type": {"text/plain"}}}
	hold := &grip.Instruct{Channels: []grip.Channel{{Name: testChannel}}}
	switch r.Path {
	case "/":
		resp.Body = []byte("Hello from the built-in test origin. Try /response, /stream and /ws.\n")
	case "/response":
		hold.Hold, hold.Timeout = grip.Response, grip.DefaultTimeout
		resp.Instruct, resp.Body = hold, []byte("nothing for now\n")
	case "/stream":
		hold.Hold = grip.Stream
		resp.Instruct, resp.Body = hold, []byte("[stream open]\n")
	default:
		resp.Status, resp.Body = http.StatusNotFound, []byte("no such test resource\n")
	}
	return resp
}

// testEvents accepts sockets on /ws, subscribes them and echoes.
func testEvents(s *fanout.Socket, in []grip.Event) *fanout.Reply {
	reply := new(fanout.Reply)
	for _, e := range in {
		switch e.Type {
		case grip.EventOpen:
			if s.Handshake.Path != "/ws" {
				reply.Refuse = testRequest(s.Handshake)
				return reply
			}
			reply.Control = []grip.Control{{Type: grip.ControlSubscribe, Channel: testChannel}}
			reply.Events = append(reply.Events, e)
		case grip.EventPing:
			reply.Events = append(reply.Events, grip.Event{Type: grip.EventPong, Content: e.Content})
		case grip.EventText, grip.EventBinary, grip.EventClose:
			reply.Events = append(reply.Events, e)
		}
	}
	return reply
}
