package fanout

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// A publisher closes a socket whose Handler is busy: nothing follows the close
// frame, nothing is subscribed again, and the Handler hears of the close once.
func TestSocketClosedWhileTheHandlerIsBusy(t *testing.T) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprint("portable=", portable), func(t *testing.T) {
			h := &echo{slow: true, gate: make(chan struct{})}
			e, srv := serve(t, Options{Portable: portable}, h, plainText)
			c := openSocket(t, srv)
			c.send(ws.OpText, "sub a")
			h.gate <- struct{}{}
			c.want(ws.OpText, "ok")
			c.send(ws.OpText, "sub b")
			for h.count() < 3 { // the call is under way, as far as a look from here can tell
				runtime.Gosched()
			}
			publishTo(t, e, 1, &grip.Item{Channel: "a", WSMessage: &grip.WSMessage{Action: grip.Close}})
			c.want(ws.OpClose, closeBody(1000, ""))
			h.gate <- struct{}{}
			for h.count() < 4 {
				runtime.Gosched()
			}
			publishTo(t, e, 0, message("a", "late"), message("b", "late"))
			c.send(ws.OpClose, closeBody(1000, ""))
			c.wantEnd()
			for e.hub.Members() > 0 {
				runtime.Gosched()
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if want := []string{`CLOSE "";`}; !slices.Equal(h.calls[3:], want) {
				t.Errorf("the handler was told %q, want %q", h.calls[3:], want)
			}
		})
	}
}

// The Handler hears of the end of a socket that a drain has ended while the
// Handler was busy, and of one that it opened too late.
func TestHandlerHearsOfTheEndInADrain(t *testing.T) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprint("portable=", portable), func(t *testing.T) {
			h := &echo{slow: true, gate: make(chan struct{}), open: make(chan struct{}, 1)}
			e, srv := serve(t, Options{Portable: portable}, h, plainText)
			h.open <- struct{}{}
			c := openSocket(t, srv)
			c.send(ws.OpText, "x")
			_, late := exchange(t, srv, handshake)
			for h.count() < 3 {
				runtime.Gosched()
			}
			drained := make(chan error, 1)
			go func() { // ends with the drain
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				drained <- e.Drain(ctx)
			}()
			c.want(ws.OpClose, closeBody(1001, "shutting down"))
			c.wantEnd()
			for e.hub.Members() > 0 {
				runtime.Gosched()
			}
			h.open <- struct{}{}
			if got := head(t, late); !strings.Contains(got, "503 Service Unavailable") {
				t.Errorf("the late one got %s", got)
			}
			close(h.gate)
			if err := <-drained; err != nil {
				t.Error(err)
			}
			for h.count() < 5 {
				runtime.Gosched()
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if want := []string{`DISCONNECT "";`, `DISCONNECT "";`}; !slices.Equal(h.calls[3:], want) {
				t.Errorf("the handler was told %q, want %q", h.calls[3:], want)
			}
		})
	}
}
