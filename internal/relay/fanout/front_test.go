package fanout

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// quickEcho is an echo that the front asks on its shards.
type quickEcho struct{ *echo }

func (quickEcho) Quick(*Request) bool { return true }

// serveFront is serve with the front before net/http.
func serveFront(t *testing.T, opt Options, h Quick) (*Engine, *httptest.Server) {
	t.Helper()
	return serve(t, opt, h, func(s *httptest.Server) {
		e := s.Config.Handler.(*server).engine
		s.Listener = e.Front(s.Listener, h, FrontOptions{
			Full: func() bool { return false }, Refused: func(err error) { t.Error(err) },
			HeaderTimeout: patience, BodyTimeout: patience, IdleTimeout: patience,
		})
		s.Start()
	})
}

// Many frames right behind the handshake are more than net/http's buffer holds.
func TestFrontKeepsFramesBehindTheHandshake(t *testing.T) {
	_, srv := serveFront(t, Options{}, quickEcho{&echo{}})
	var early bytes.Buffer
	early.WriteString(handshake)
	texts := make([]string, 20)
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i)), 1000)
		if err := ws.WriteFrame(&early, ws.MaskFrame(ws.NewTextFrame([]byte(texts[i])))); err != nil {
			t.Fatal(err)
		}
	}
	c, r := exchange(t, srv, early.String())
	head(t, r)
	for _, text := range texts {
		(&wsClient{t, c, r}).want(ws.OpText, text)
	}
}
