package app_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// talk is one MQTT connection without an engine: what is not accepted is kept
// and offered again, as an engine does.
type talk struct {
	*bench
	t      *testing.T
	socket *fanout.Socket
	held   []grip.Event
}

func openTalk(t *testing.T, b *bench) *talk {
	t.Helper()
	s := &fanout.Socket{Handshake: request("GET", "/mqtt", ""), Conn: 7, Remote: "127.0.0.1:1"}
	reply, err := b.Events(t.Context(), s, []grip.Event{{Type: grip.EventOpen}})
	if err != nil || reply.Refuse != nil || len(reply.Events) != 1 || reply.Events[0].Type != grip.EventOpen {
		t.Fatalf("the handshake is answered by %+v, %v", reply, err)
	}
	return &talk{bench: b, t: t, socket: s}
}

// follow plays a transcript. A line says:
//
//	> HEX | HEX      a call with these frames; words: ping, text HEX, close HEX, refresh
//	* CHANNEL WHAT   an item published during the call, with its sender's name
//	= WHAT           a control message of the reply
//	< HEX            a packet of the reply, or "close CODE"
//	~ N              so many bytes were not accepted
//	! TEXT           the call failed
//
// {c1} and {anonymous} are CONNECTs with the usual token, {test} is a topic.
func (k *talk) follow(transcript string) {
	k.t.Helper()
	var got, want []string
	for line := range strings.Lines(transcript) {
		line = expand(strings.TrimSpace(line))
		if line == "" {
			continue
		}
		want = append(want, line)
		if frames, ok := strings.CutPrefix(line, "> "); ok {
			got = append(append(got, line), k.call(frames)...)
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		k.t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// converse plays a transcript on a connection of its own.
func converse(t *testing.T, b *bench, transcript string) {
	t.Helper()
	openTalk(t, b).follow(transcript)
}

func expand(line string) string {
	return strings.NewReplacer(
		"{c1}", hexOf(connect("c1", apptest.TokenRW)), "{anonymous}", hexOf(connect("", apptest.TokenRW)),
		"{connack}", "20 10 00 00 0D 24 00 25 01 27 00 00 80 00 28 00 2A 00",
		"{test}", "00 04 74 65 73 74",
	).Replace(line)
}

// connect is a CONNECT of version 5 with a password.
func connect(id, token string) []byte {
	body := "\x00\x04MQTT\x05\x42\x00\x3c\x00" + field(id) + field(token)
	return append(head(0x10, len(body)), body...)
}

// head is a fixed header with a length of three bytes, needed or not.
func head(first byte, n int) []byte {
	return []byte{first, byte(n&0x7f | 0x80), byte(n>>7&0x7f | 0x80), byte(n >> 14)}
}

func field(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }

func hexOf(b []byte) string { return strings.TrimSpace(fmt.Sprintf("% X", b)) }

func (k *talk) frames(line string) (in []grip.Event) {
	for part := range strings.SplitSeq(line, " | ") {
		kind, rest, _ := strings.Cut(part, " ")
		switch kind {
		case "refresh":
		case "ping":
			in = append(in, grip.Event{Type: grip.EventPing, Content: k.bytes(rest)})
		case "pong":
			in = append(in, grip.Event{Type: grip.EventPong, Content: k.bytes(rest)})
		case "text":
			in = append(in, grip.Event{Type: grip.EventText, Content: k.bytes(rest)})
		case "close":
			in = append(in, grip.Event{Type: grip.EventClose, Content: k.bytes(rest)})
		case "gone":
			in = append(in, grip.Event{Type: grip.EventDisconnect})
		default:
			in = append(in, grip.Event{Type: grip.EventBinary, Content: k.bytes(part)})
		}
	}
	return in
}

func (k *talk) bytes(text string) []byte {
	k.t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func (k *talk) call(frames string) (lines []string) {
	k.t.Helper()
	return k.give(k.frames(frames))
}

// give makes a call and says what came of it.
func (k *talk) give(fresh []grip.Event) (lines []string) {
	k.t.Helper()
	k.fanout.items = nil
	in := append(k.held, fresh...)
	reply, err := k.Events(k.t.Context(), k.socket, in)
	for _, it := range k.fanout.items {
		lines = append(lines, "* "+describeItem(it))
	}
	if err != nil {
		return append(lines, "! "+err.Error())
	}
	for _, c := range reply.Control {
		lines = append(lines, "= "+describeControl(c))
	}
	for _, e := range reply.Events {
		lines = append(lines, "< "+describeEvent(e))
	}
	if k.held = keep(in, reply.Rest); reply.Rest > 0 {
		lines = append(lines, fmt.Sprintf("~ %d", reply.Rest))
	}
	return lines
}

// keep returns the events that the last rest bytes of content belong to, as
// far as they do.
func keep(in []grip.Event, rest int) []grip.Event {
	first := len(in)
	for ; rest > 0; first-- {
		rest -= len(in[first-1].Content)
	}
	held := slices.Clone(in[first:])
	if rest < 0 {
		held[0].Content = held[0].Content[-rest:]
	}
	return held
}

func describeItem(it *grip.Item) string {
	what := "refresh"
	if it.WSMessage.Action == grip.Send {
		what = hexOf(it.WSMessage.Content)
	}
	if sender := it.Meta["sender"]; sender != "" {
		what += " by " + sender
	}
	return it.Channel + " " + what
}

func describeControl(c grip.Control) string {
	switch {
	case c.Type != grip.ControlSetMeta:
		return strings.TrimSpace(c.Type.String() + " " + c.Channel + " " + strings.Join(c.Filters, " "))
	case c.Delete:
		return "set-meta " + c.Name
	}
	return "set-meta " + c.Name + "=" + c.Value
}

func describeEvent(e grip.Event) string {
	switch e.Type {
	case grip.EventBinary:
		return hexOf(e.Content)
	case grip.EventClose:
		code, reason, _ := grip.ParseClose(e.Content)
		return strings.TrimSpace(fmt.Sprintf("close %d %s", code, reason))
	}
	return e.Type.String() + " " + hexOf(e.Content)
}
