package origin

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A connection that is held is an event: its line says which and on what, and no
// more of the request than its path.
func TestHeldConnectionsAreLogged(t *testing.T) {
	for _, c := range []struct{ hold, want string }{
		{"stream", `msg="stream held" channel="p-a p-b" method=GET path=/x route=.* conn=\d+ remote=127\.0\.0\.1:\d+`},
		{"response", `msg="long-poll held" channel="p-a p-b" method=GET path=/x route=.* conn=\d+ remote=127\.0\.0\.1:\d+`},
	} {
		r := newRig(t, gripOrigin("", "Grip-Hold: "+c.hold, "Grip-Channel: a, b"), Options{}, "*,prefix=p- ORIGIN")
		r.dial().send(get("/x?token=s3cret"))
		r.subscribed("p-a")
		log := r.log.String()
		if !regexp.MustCompile(c.want).MatchString(log) || strings.Contains(log, "s3cret") {
			t.Errorf("hold %s: %s", c.hold, log)
		}
		if strings.Count(log, "held") != 1 {
			t.Errorf("more than one line: %s", log)
		}
	}
	r := newRig(t, gripOrigin("plain", "Grip-Channel: a"), Options{}, "* ORIGIN")
	r.do(get("/"))
	if log := r.log.String(); strings.Contains(log, "held") {
		t.Errorf("an answer that is not held: %s", log)
	}
}

func TestOpenedSocketsAreLogged(t *testing.T) {
	r, peers := natives(t, "* ORIGIN,sub=s")
	r.socket("/n?token=s3cret")
	<-peers
	over := overHTTP(t, replies(func(w http.ResponseWriter, _ string) { events(w, nil) }))
	over.socket("/n?token=s3cret")
	for _, r := range []*rig{r, over} {
		log := r.log.String()
		if !regexp.MustCompile(`msg="socket opened" path=/n route=.* conn=\d+ remote=127\.0\.0\.1:\d+`).MatchString(log) || strings.Contains(log, "s3cret") {
			t.Error(log)
		}
	}
}
