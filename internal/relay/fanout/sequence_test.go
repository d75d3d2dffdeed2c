package fanout

import (
	"fmt"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

func TestPrevIDWithoutLinkEndsTheStream(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		p := r.open(&grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "c", PrevID: "1"}}})
		settle(0)
		if p.ended != "finished" {
			t.Errorf("stream %q", p.ended)
		}
	})
}

func reliable(prev string) *grip.Instruct {
	return &grip.Instruct{
		Hold: grip.Stream, Channels: []grip.Channel{{Name: "c", PrevID: prev}}, Next: grip.Link{URI: "/c"},
	}
}

// Transcript 10: items that follow are delivered, a gap makes the stream ask.
func TestPrevIDs(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) {
			return &Response{Body: []byte("[8 9]"), Instruct: reliable("9")}, nil
		}
		p := r.open(reliable("5"))
		r.publish(sendID("c", "6", "6", "5"), sendID("c", "7", "7", "6"))
		settle(0)
		it := sendID("c", "9", "9", "8")
		it.NoSeq = true
		r.publish(it)
		settle(time.Second)
		r.publish(sendID("c", "10", "10", "9"))
		settle(0)
		r.want(p, "[open]67[8 9]10")
		r.wantAsked("0.1 /c c; last-id=7")
	})
}

// Transcript 12: an id is delivered once, and a gap is closed or waited for.
func TestSequence(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		p := r.open(&grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "c"}}})
		r.publish(sendID("c", "1", "1", ""), sendID("c", "again", "1", ""))
		r.publish(sendID("c", "4", "4", "3"), sendID("c", "3", "3", "2"))
		settle(time.Second)
		r.want(p, "[open]1")
		r.publish(sendID("c", "2", "2", "1"))
		settle(0)
		r.want(p, "[open]1234")
		r.publish(sendID("c", "7", "7", "6"))
		settle(4 * time.Second)
		r.want(p, "[open]1234")
		settle(2 * time.Second)
		r.want(p, "[open]12347")
		settle(time.Minute)
		r.publish(sendID("c", "1", "1", "7")) // forgotten by now
		settle(0)
		r.want(p, "[open]123471")
	})
}

func TestItemsForNobodyAreNotSequenced(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.publish(sendID("c", "1", "1", ""))
		p := r.open(&grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "c"}}})
		r.publish(sendID("c", "9", "9", "8"))
		settle(0)
		r.want(p, "[open]9")
	})
}

// A stream that joins with an id older than the channel's last asks at once.
func TestStalePrevIDAtJoin(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.open(reliable("1"))
		r.publish(sendID("c", "2", "2", "1"))
		settle(0)
		r.o.answer = func(int, *Request) (*Response, error) {
			return &Response{Body: []byte("[2]"), Instruct: reliable("2")}, nil
		}
		p := r.open(reliable("1"))
		settle(time.Second)
		r.want(p, "[open][2]")
	})
}

// Items with ids that a page contains already are not given twice, and one that
// the page does not reach makes the stream ask again.
func TestReplayPassesOverWhatThePageContains(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		release := make(chan struct{})
		r.o.answer = func(n int, _ *Request) (*Response, error) {
			if n == 1 {
				<-release
				return &Response{Body: []byte("[3 4]"), Instruct: reliable("4")}, nil
			}
			return &Response{Body: []byte("[7]"), Instruct: reliable("7")}, nil
		}
		p := r.open(reliable("2"))
		gap := sendID("c", "x", "4", "3")
		gap.NoSeq = true
		r.publish(gap)
		settle(time.Second)
		for _, it := range []*grip.Item{sendID("c", "3", "3", "2"), sendID("c", "4", "4b", "3"), sendID("c", "5", "5", "4")} {
			it.NoSeq = true
			r.publish(it)
		}
		settle(0)
		close(release)
		settle(time.Second)
		r.want(p, "[open][3 4]5")
		lost := sendID("c", "7", "7", "6")
		lost.NoSeq = true
		r.publish(lost)
		settle(time.Second)
		r.want(p, "[open][3 4]5[7]")
	})
}

func TestFilters(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		p := r.open(&grip.Instruct{
			Hold: grip.Stream, Meta: map[string]string{"user": "ann"},
			Channels: []grip.Channel{{Name: "c", Filters: []string{"skip-self", "var-subst"}}},
		})
		mine := send("c", "mine")
		mine.Meta = map[string]string{"sender": "ann"}
		strict := send("c", "strict")
		strict.HTTPStream.ContentFilters = []string{"build-id"}
		r.publish(mine, send("c", "hi %(user)s;"), send("c", "%(nobody)s"), strict, send("c", "end"))
		settle(0)
		r.want(p, "[open]hi ann;end")
	})
}

func TestMoreThanTwentyChannelsAreIgnored(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		in := &grip.Instruct{Hold: grip.Stream}
		for i := range 25 {
			in.Channels = append(in.Channels, grip.Channel{Name: fmt.Sprint("c", i)})
		}
		p := r.open(in)
		r.publish(send("c19", "in"), send("c20", "out"))
		settle(0)
		r.want(p, "[open]in")
	})
}
