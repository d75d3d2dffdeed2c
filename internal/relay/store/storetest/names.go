package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// badNames are no keys of a KV store, with "r:" before them or without.
func badNames() map[string]string {
	return map[string]string{
		"hash": "a#b", "semicolon": "a;b", "question mark": "a?b", "caret": "a^b", "bar": "a|b",
		"carriage return": "a\rb", "line feed": "a\nb", "dot slash": "a./b",
		"not UTF-8": "a\xFFb", "too long": strings.Repeat("x", 1025),
	}
}

func nameCases() []testCase {
	var cases []testCase
	for rule, name := range badNames() {
		cases = append(cases, testCase{rule + " is refused in a topic", func(t *testing.T, open opener) {
			refusesTopic(t, open.shelf(t), pubsub.Topic(name))
		}})
	}
	return append(cases,
		testCase{"the prefix counts for the length", prefixCounts},
		testCase{"a topic may be empty or a dot", func(t *testing.T, open opener) {
			s := open.shelf(t)
			s.put("", "empty")
			s.put(".", "dot")
			s.put("..", "dots")
		}},
	)
}

func refusesTopic(t *testing.T, s shelf, topic pubsub.Topic) {
	ctx := context.Background()
	_, put := s.Put(ctx, topic, store.Entry{})
	for op, err := range map[string]error{"Put": put, "Get": s.getErr(topic, none), "Delete": s.Delete(ctx, topic)} {
		if !errors.Is(err, store.ErrName) {
			t.Errorf("%s: %v, want ErrName", op, err)
		}
	}
}

func prefixCounts(t *testing.T, open opener) {
	s := open.shelf(t)
	s.put(pubsub.Topic(strings.Repeat("x", 1022)), "fits")
	refusesTopic(t, s, pubsub.Topic(strings.Repeat("x", 1023)))
}

func sharingCases() []testCase {
	return []testCase{
		{"a caller's payload is not kept", func(t *testing.T, open opener) {
			s, data := open.shelf(t), []byte("one")
			v := s.putEntry("a", store.Entry{Data: data})
			copy(data, "XXX")
			wantMessage(t, s.get("a"), v, "one")
		}},
		{"a handed out payload is the caller's", func(t *testing.T, open opener) {
			s := open.shelf(t)
			v := s.put("a", "one")
			copy(s.get("a").Entry.Data, "XXX")
			wantMessage(t, s.get("a"), v, "one")
		}},
		{"secrets are neither kept nor handed out", secretsAreCopied},
	}
}

func secretsAreCopied(t *testing.T, open opener) {
	keys, ctx, secret := open.shelf(t).Keys(), context.Background(), []byte("one")
	if err := keys.Put(ctx, store.Key{ID: "k", Secret: secret}); err != nil {
		t.Fatal(err)
	}
	copy(secret, "XXX")
	for range 2 {
		got, err := keys.Get(ctx, "k")
		if err != nil || !bytes.Equal(got, []byte("one")) {
			t.Fatalf("Get = %q, %v, want one", got, err)
		}
		copy(got, "YYY")
	}
	all, err := keys.List(ctx)
	if err != nil || len(all) != 1 {
		t.Fatalf("List = %v, %v, want one key", all, err)
	}
	copy(all[0].Secret, "ZZZ")
	if got, err := keys.Get(ctx, "k"); err != nil || string(got) != "one" {
		t.Errorf("Get after changing what List gave = %q, %v, want one", got, err)
	}
}
