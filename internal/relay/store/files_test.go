package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

func TestReadTheAppsSampleFiles(t *testing.T) {
	keys, err := store.ReadKeysFile(strings.NewReader(`{ "test": "notasecret" }`))
	if err != nil || len(keys) != 1 || keys[0].ID != "test" || string(keys[0].Secret) != "notasecret" {
		t.Errorf("keys = %v, %v", keys, err)
	}
	records, err := store.ReadMessagesFile(strings.NewReader(
		`{ "r:test": { "metadata": "{\"generation\":1152921504606846976,\"seq\":1}", "data": "saved message" } }`))
	if err != nil || len(records) != 1 {
		t.Fatalf("records = %v, %v, want one", records, err)
	}
	want := pubsub.Version{Generation: 1152921504606846976, Seq: 1}
	if r := records[0]; r.Topic != "test" || r.Version != want || string(r.Entry.Data) != "saved message" || r.Unreadable {
		t.Errorf("record = %+v", r)
	}
}

// messageFile is a messages file with one item.
func messageFile(metadata string) string {
	return fmt.Sprintf(`{"r:a": {"metadata": %q, "data": "x"}}`, metadata)
}

func TestUnreadableMetadataMakesAnUnreadableSlot(t *testing.T) {
	cases := map[string]string{
		"the app's own sample":     messageFile(`{"version": 1}`),
		"no generation":            messageFile(`{"seq":1}`),
		"no sequence":              messageFile(`{"generation":1}`),
		"null sequence":            messageFile(`{"generation":1,"seq":null}`),
		"negative sequence":        messageFile(`{"generation":1,"seq":-1}`),
		"float":                    messageFile(`{"generation":1.0,"seq":1}`),
		"generation above 64 bits": messageFile(`{"generation":18446744073709551616,"seq":1}`),
		"names in capitals":        messageFile(`{"Generation":1,"Seq":1}`),
		"repeated member":          messageFile(`{"generation":1,"generation":1,"seq":1}`),
		"something behind":         messageFile(`{"generation":1,"seq":1} x`),
		"not an object":            messageFile(`[1,1]`),
		"empty":                    messageFile(``),
		"five numbers":             messageFile(`{"generation":1,"seq":1,"expires-at":[2025,220,16,42,52]}`),
		"day 366 of a short year":  messageFile(`{"generation":1,"seq":1,"expires-at":[2025,366,0,0,0,0]}`),
		"day 0":                    messageFile(`{"generation":1,"seq":1,"expires-at":[2025,0,0,0,0,0]}`),
		"minute 60":                messageFile(`{"generation":1,"seq":1,"expires-at":[2025,1,0,60,0,0]}`),
		"expiry as text":           messageFile(`{"generation":1,"seq":1,"expires-at":"2025-08-08T16:42:52Z"}`),
		"metadata missing":         `{"r:a": {"data": "x"}}`,
		"data alone":               `{"r:a": "x"}`,
	}
	for name, file := range cases {
		t.Run(name, func(t *testing.T) {
			records, err := store.ReadMessagesFile(strings.NewReader(file))
			if err != nil || len(records) != 1 {
				t.Fatalf("records = %v, %v, want one", records, err)
			}
			if r := records[0]; !r.Unreadable || r.Topic != "a" {
				t.Errorf("record = %+v, want an unreadable slot of a", r)
			}
		})
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	cases := map[string]struct{ file, want string }{
		"not JSON":               {`dear diary`, "not a JSON object"},
		"an array":               {`["r:a"]`, "not a JSON object"},
		"cut short":              {`{"r:a": "x"`, "unexpected EOF"},
		"two objects":            {`{} {}`, "something follows"},
		"a topic twice":          {`{"r:a": "x", "r:a": "y"}`, "twice"},
		"no message's name":      {`{"a": "x"}`, `"a" is not a message`},
		"a name no store takes":  {`{"r:a;b": "x"}`, "not a legal store key"},
		"no data":                {`{"r:a": {"metadata": "{}"}}`, "no data"},
		"a number for a message": {`{"r:a": 7}`, "not a JSON object"},
		"not UTF-8":              {"{\"r:a\": \"\xFF\"}", "not UTF-8"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := store.ReadMessagesFile(strings.NewReader(c.file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want %q", err, c.want)
			}
		})
	}
}

func TestBrokenKeysAreRefused(t *testing.T) {
	cases := map[string]string{
		"not JSON":  `secret`,
		"a number":  `{"k": 12345}`,
		"null":      `{"k": null}`,
		"an object": `{"k": {"data": "hidden"}}`,
		"twice":     `{"k": "hidden", "k": "hidden"}`,
		"empty id":  `{"": "hidden"}`,
		"not UTF-8": "{\"k\": \"hidden\xFF\"}",
	}
	for name, file := range cases {
		t.Run(name, func(t *testing.T) {
			keys, err := store.ReadKeysFile(strings.NewReader(file))
			if err == nil || keys != nil {
				t.Fatalf("keys = %v, %v, want an error alone", keys, err)
			}
			if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "12345") {
				t.Errorf("%q tells the secret", err)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestReadingIsBounded(t *testing.T) {
	if _, err := store.ReadKeysFile(endless{}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error = %v, want that the file is too large", err)
	}
}

func TestWhatIsWrittenCanBeRead(t *testing.T) {
	expires := time.Date(2025, 8, 8, 16, 42, 52, 123456789, time.UTC)
	records := []*store.Record{
		{Topic: "", Version: pubsub.Version{Seq: 1}, Entry: text("")},
		{Topic: "a", Version: pubsub.Version{Generation: math.MaxUint64, Seq: math.MaxUint64}, Entry: text("<ü>\r\n\u2028")},
		{Topic: "b", Version: pubsub.Version{Generation: 1, Seq: 2}, Entry: store.Entry{Data: []byte("x"), Expires: expires}},
		{Topic: "c", Unreadable: true},
	}
	var file bytes.Buffer
	if err := store.WriteMessagesFile(&file, records); err != nil {
		t.Fatal(err)
	}
	if want := `\"expires-at\":[2025,220,16,42,52,123456789]`; !strings.Contains(file.String(), want) {
		t.Errorf("file lacks %s:\n%s", want, file.String())
	}
	again, err := store.ReadMessagesFile(&file)
	if err != nil || !slices.EqualFunc(records, again, sameRecord) {
		t.Errorf("read %+v, %v", again, err)
	}
}

func sameRecord(a, b *store.Record) bool {
	return a.Topic == b.Topic && a.Version == b.Version && a.Unreadable == b.Unreadable &&
		a.Entry.Expires.Equal(b.Entry.Expires) && bytes.Equal(a.Entry.Data, b.Entry.Data)
}

func TestWrittenKeysCanBeRead(t *testing.T) {
	keys := []store.Key{{ID: "a", Secret: []byte("one\n")}, {ID: "b", Secret: []byte("<&>")}}
	var file bytes.Buffer
	if err := store.WriteKeysFile(&file, keys); err != nil {
		t.Fatal(err)
	}
	again, err := store.ReadKeysFile(&file)
	same := func(a, b store.Key) bool { return a.ID == b.ID && bytes.Equal(a.Secret, b.Secret) }
	if err != nil || !slices.EqualFunc(keys, again, same) {
		t.Errorf("read %v, %v", again, err)
	}
}

func TestBinaryDoesNotFitIntoFiles(t *testing.T) {
	var file bytes.Buffer
	err := store.WriteMessagesFile(&file, []*store.Record{{Topic: "bin", Entry: text("\xFF")}})
	if err == nil || !strings.Contains(err.Error(), `"bin"`) || file.Len() > 0 {
		t.Errorf("WriteMessagesFile: %v and %d bytes, want an error that names the topic and none", err, file.Len())
	}
	err = store.WriteKeysFile(&file, []store.Key{{ID: "k", Secret: []byte("\xFF")}})
	if err == nil || file.Len() > 0 {
		t.Errorf("WriteKeysFile: %v and %d bytes, want an error and none", err, file.Len())
	}
}

type brokenPipe struct{}

var errPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestWriteErrorsAreReported(t *testing.T) {
	if err := store.WriteMessagesFile(brokenPipe{}, nil); !errors.Is(err, errPipe) {
		t.Errorf("WriteMessagesFile: %v, want the writer's error", err)
	}
	if err := store.WriteKeysFile(brokenPipe{}, nil); !errors.Is(err, errPipe) {
		t.Errorf("WriteKeysFile: %v, want the writer's error", err)
	}
}

// FuzzMetadata: what is accepted is accepted again in the form we write, with
// the same meaning.
func FuzzMetadata(f *testing.F) {
	f.Add(`{"generation":15019479429053662241,"seq":9,"expires-at":[2025,220,16,42,52,123456789]}`)
	f.Add(`{"generation":0,"seq":0,"expires-at":null,"more":[{}]}`)
	f.Add(`{"generation":1,"seq":1,"expires-at":[1,1,0,0,0,0]}`)
	f.Add(`{"version": 1}`)
	f.Fuzz(func(t *testing.T, in string) {
		v, expires, err := store.ParseMetadata([]byte(in))
		if err != nil {
			return
		}
		out := store.AppendMetadata(nil, v, expires)
		w, again, err := store.ParseMetadata(out)
		if err != nil || w != v || !again.Equal(expires) || expires.IsZero() != again.IsZero() {
			t.Errorf("accepted %q as %v, %v; wrote %q, read %v, %v, %v", in, v, expires, out, w, again, err)
		}
	})
}

// FuzzMessagesFile: what is read can be written, and is then read as the same.
func FuzzMessagesFile(f *testing.F) {
	f.Add(`{ "r:test": { "metadata": "{\"generation\":1152921504606846976,\"seq\":1}", "data": "saved message" } }`)
	f.Add(`{"r:a": {"metadata": "{\"version\": 1}", "data": "\ud800"}, "r:": "x"}`)
	f.Fuzz(func(t *testing.T, in string) {
		records, err := store.ReadMessagesFile(strings.NewReader(in))
		if err != nil {
			return
		}
		var file bytes.Buffer
		if err := store.WriteMessagesFile(&file, records); err != nil {
			t.Fatalf("accepted %q, cannot write it: %v", in, err)
		}
		again, err := store.ReadMessagesFile(&file)
		slices.SortFunc(records, func(a, b *store.Record) int { return strings.Compare(string(a.Topic), string(b.Topic)) })
		if err != nil || !slices.EqualFunc(records, again, sameRecord) {
			t.Errorf("accepted %q, read back %+v, %v", in, again, err)
		}
	})
}
