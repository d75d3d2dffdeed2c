package origin

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// records consumes whole records of four bytes, like transcript 41's origin.
func records(accepted []int) http.HandlerFunc {
	n := 0
	return replies(func(w http.ResponseWriter, _ string) {
		h := map[string]string{}
		if n < len(accepted) && accepted[n] >= 0 {
			h["Content-Bytes-Accepted"] = strconv.Itoa(accepted[n])
		}
		n++
		events(w, h, event("TEXT", "m:ok"))
	})
}

func TestG37Transcript41BytesAccepted(t *testing.T) {
	r := overHTTP(t, records([]int{4, 0, 8}))
	c := r.socket("/")
	for i, want := range []struct{ frame, body, replayed string }{
		{"abcdef", "BINARY 6\r\nabcdef\r\n", ""},
		{"g", "BINARY 2\r\nef\r\nBINARY 1\r\ng\r\n", "2"},
		{"hijkl", "BINARY 2\r\nef\r\nBINARY 1\r\ng\r\nBINARY 5\r\nhijkl\r\n", "3"},
		{"z", "BINARY 1\r\nz\r\n", ""},
	} {
		c.frame(ws.OpBinary, want.frame)
		c.want(ws.OpText, "ok")
		if q := r.request(i + 1); q.body != want.body || q.header.Get("Content-Bytes-Replayed") != want.replayed {
			t.Errorf("request %d: %q, replayed %s", i, q.body, q.header.Get("Content-Bytes-Replayed"))
		}
	}
}

// TestTranscript44: a close behind held bytes. Unlike 1.41, which gets stuck, the
// rest and the close are sent again when some bytes were accepted.
func TestTranscript44CloseBehindHeldBytes(t *testing.T) {
	for name, c := range map[string]struct {
		accepted []int // of the requests with CLOSE; the last one answers it
		bodies   []string
		closed   bool
	}{
		"postponed":         {[]int{1, 3}, []string{"BINARY 2\r\nbc\r\nCLOSE 2\r\n\x03\xe8\r\n", "BINARY 1\r\nc\r\nCLOSE 2\r\n\x03\xe8\r\n"}, true},
		"not the close":     {[]int{2}, []string{"BINARY 2\r\nbc\r\nCLOSE 2\r\n\x03\xe8\r\n"}, false},
		"nothing":           {[]int{0}, []string{"BINARY 2\r\nbc\r\nCLOSE 2\r\n\x03\xe8\r\n"}, false},
		"all of it at once": {[]int{4}, []string{"BINARY 2\r\nbc\r\nCLOSE 2\r\n\x03\xe8\r\n"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := -1
			r := overHTTP(t, replies(func(w http.ResponseWriter, body string) {
				h, out := map[string]string{}, ""
				if n++; body == "DISCONNECT\r\n" {
				} else if n == 0 {
					h["Content-Bytes-Accepted"] = "1"
				} else {
					h["Content-Bytes-Accepted"] = strconv.Itoa(c.accepted[n-1])
					if n == len(c.accepted) && c.closed {
						out = event("CLOSE", closeNormal)
					}
				}
				events(w, h, out)
			}))
			cl := r.socket("/")
			cl.frame(ws.OpBinary, "abc")
			r.request(1)
			cl.frame(ws.OpClose, closeNormal)
			if c.closed {
				cl.want(ws.OpClose, closeNormal)
			}
			cl.wantEnd()
			for i, want := range c.bodies {
				if q := r.request(2 + i); q.body != want {
					t.Errorf("request %d: %q, want %q", i, q.body, want)
				}
			}
		})
	}
}

// TestTranscript42 mixes kinds of messages: each keeps its type.
func TestTranscript42MixedMessages(t *testing.T) {
	n := 0
	r := overHTTP(t, replies(func(w http.ResponseWriter, _ string) {
		h := map[string]string{}
		if n++; n == 1 {
			h["Content-Bytes-Accepted"] = "7"
		}
		events(w, h, event("TEXT", "m:ok"))
	}))
	c := r.socket("/")
	var batch bytes.Buffer // in one piece, so that they are one batch
	for _, f := range []ws.Frame{
		ws.NewTextFrame([]byte("hello")), ws.NewBinaryFrame([]byte("\x01\x02\x03")), ws.NewTextFrame([]byte("world")),
	} {
		if err := ws.WriteFrame(&batch, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = c.c.Write(batch.Bytes())
	c.want(ws.OpText, "ok")
	c.frame(ws.OpPing, "p")
	c.want(ws.OpText, "ok")
	if q := r.request(2); q.body != event("BINARY", "\x03")+event("TEXT", "world")+event("PING", "p") || q.header.Get("Content-Bytes-Replayed") != "6" {
		t.Errorf("origin got %q, replayed %s", q.body, q.header.Get("Content-Bytes-Replayed"))
	}
}

// TestTranscript45 and 63: a refresh carries the held bytes, a lost client does not.
func TestTranscript45RefreshCarriesHeldBytes(t *testing.T) {
	first := true
	r := newRig(t, replies(func(w http.ResponseWriter, _ string) {
		h := map[string]string{"Content-Bytes-Accepted": "0"}
		if first {
			first, h["Content-Bytes-Accepted"] = false, "1"
		}
		events(w, h, event("TEXT", "m:ok"))
	}), Options{}, "* ORIGIN,over_http,sub=s")
	c := r.socket("/")
	c.frame(ws.OpBinary, "abc")
	c.want(ws.OpText, "ok")
	r.publish(&grip.Item{Channel: "s", WSMessage: &grip.WSMessage{Action: grip.Refresh}})
	if q := r.request(2); q.body != event("BINARY", "bc") || q.header.Get("Content-Bytes-Replayed") != "2" {
		t.Errorf("refreshed with %q, replayed %s", q.body, q.header.Get("Content-Bytes-Replayed"))
	}
	c.want(ws.OpText, "ok")
	_ = c.c.Close()
	if q := r.request(3); q.body != "DISCONNECT\r\n" || q.header.Get("Content-Bytes-Replayed") != "" {
		t.Errorf("told the end with %+v", q)
	}
}

// TestManyWrongControlMessages are one line in the log.
func TestManyWrongControlMessages(t *testing.T) {
	r := overHTTP(t, replies(func(w http.ResponseWriter, _ string) {
		events(w, nil, strings.Repeat(event("TEXT", "c:{}"), 10_000), event("TEXT", "m:ok"))
	}))
	c := r.socket("/")
	c.frame(ws.OpText, "x")
	c.want(ws.OpText, "ok")
	if n := strings.Count(r.log.String(), "control message ignored"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
