package fastlytest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestConfigItems(t *testing.T) {
	s := New(Options{})
	_, o := send(s, "POST", "/resources/stores/config", formType, "name=c")
	p := "/resources/stores/config/" + o["id"].(string)
	run(t, s,
		step{"POST", "/resources/stores/config", formType, "name=c", 409, "Duplicate"},
		step{"POST", p + "/item", formType, "item_key=sse&item_value=false", 200, `"item_value":"false"`},
		step{"POST", p + "/item", formType, "item_key=sse&item_value=true", 409, "Duplicate"},
		step{"PATCH", p + "/item/sse", formType, "item_value=true", 200, `"item_value":"true"`},
		step{"PATCH", p + "/item/none", formType, "item_value=true", 404, ""},
		step{"PUT", p + "/item/new", formType, "item_value=x", 200, ""},
		step{"GET", p + "/info", "", "", 200, `{"item_count":2}`},
		step{"PUT", p, formType, "name=other", 200, `"name":"other"`},
		step{"DELETE", p, "", "", 200, `"status":"ok"`},
		step{"GET", p, "", "", 404, `{"msg":"Record not found"}`},
	)
}

// TestKVItemsChange: appending, metadata that stays, generations, and the end of
// an item's time.
func TestKVItemsChange(t *testing.T) {
	now := longAgo
	s := New(Options{Now: func() time.Time { return now }})
	_, o := send(s, "POST", "/resources/stores/kv", jsonType, `{"name":"k"}`)
	item := "/resources/stores/kv/" + o["id"].(string) + "/keys/a"
	put := func(query, body string, header ...string) int {
		w, _ := send(s, "PUT", item+query, "", body, header...)
		return w.Code
	}
	if got := put("", "b", "Metadata", "m"); got != 200 {
		t.Fatal(got)
	}
	first, _ := send(s, "GET", item, "", "")
	if put("?append=true", "c") != 200 || put("?prepend=true", "a") != 200 {
		t.Error("appending is refused")
	}
	w, _ := send(s, "GET", item, "", "")
	if w.Body.String() != "abc" || w.Header().Get("Metadata") != "m" {
		t.Errorf("%s with metadata %q", w.Body, w.Header().Get("Metadata"))
	}
	if got := put("", "x", "If-Generation-Match", first.Header().Get("Generation")); got != 412 {
		t.Errorf("with an old generation: %d", got)
	}
	if got := put("", "x", "If-Generation-Match", w.Header().Get("Generation"), "time_to_live_sec", "60"); got != 200 {
		t.Errorf("with the generation: %d", got)
	}
	if got := put("", "x", "time_to_live_sec", "soon"); got != 400 {
		t.Errorf("with an odd time to live: %d", got)
	}
	now = now.Add(time.Minute)
	run(t, s, step{"GET", item, "", "", 404, ""}, step{"PUT", item + "?add=true", "", "again", 200, ""})
}

func TestNewTokensAreLimited(t *testing.T) {
	s := New(Options{Tokens: []Token{{Value: DefaultToken, Services: []string{"mine"}, Sudo: time.Now().Add(time.Hour)}}})
	s.Change(func(a *Account) { a.Services = []*Service{{ID: "mine"}, {ID: "other"}} })
	run(t, s,
		step{"POST", "/tokens", formType, "name=a&scope=everything", 400, "Scope"},
		step{"POST", "/tokens", formType, "name=a&services%5B%5D=other", 400, "Service"},
		step{"POST", "/tokens", formType, "name=a&expires_at=2001-01-01T00:00:00Z", 400, "Expires"},
		step{"POST", "/tokens", formType, "name=a&expires_at=2101-01-01T00:00:00Z", 200, `"services":["mine"]`},
		step{"POST", "/automation-tokens", jsonType, `{"name":"a","role":"superuser"}`, 400, "Role"},
	)
}

// deaf is a Publisher that takes nothing.
type deaf struct{}

func (deaf) Publish(context.Context, string, json.RawMessage) error { return errors.New("not today") }

func TestPublisherMayRefuse(t *testing.T) {
	s := New(Options{})
	s.Change(func(a *Account) { a.Services = []*Service{{ID: "svc", Fanout: true}} })
	s.Attach(deaf{})
	w, _ := send(s, "POST", "/service/svc/publish/", jsonType, `{"items":[{}]}`, "Authorization", "Bearer "+DefaultToken)
	if w.Code != 400 || len(s.Published()) != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if reqs := s.Requests(); len(reqs) != 1 || !reqs[0].Write() || reqs[0].Status != 400 {
		t.Errorf("requests: %+v", reqs)
	}
	s.ForgetRequests()
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests are remembered", n)
	}
}
