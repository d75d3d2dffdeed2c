package grip

import (
	"net/http"
	"time"
)

// JSONResponse is the response part of an application/grip-instruct body. It
// takes the place of the response the body came in, headers included.
type JSONResponse struct {
	// Status is 0 to 999. An empty Reason stands for StatusReason(Status).
	Status int
	Reason string
	// Header holds the headers as given; GRIP's own are not removed. Those given
	// as a JSON object are in the order of their names.
	Header [][2]string
	Body   []byte
}

// ParseInstructJSON reads an application/grip-instruct body that came with the
// header h and status 200 (see ErrInstructStatus). Grip-* headers in h apply
// first, JSON values override. Both results are set unless there is an error,
// which is a Reason.
//
// Status and Expose are cleared in the Instruct, since Grip-Status is already in
// the JSONResponse and no header of h is sent. A keep-alive without a mode from a
// header fires at its interval. Unlike Pushpin 1.36, an empty object is an empty
// 200.
func ParseInstructJSON(body []byte, h http.Header) (*Instruct, *JSONResponse, error) {
	in := new(Instruct)
	if err := in.readHeader(h); err != nil {
		return nil, nil, err
	}
	var fault error
	root, err := instructObject(body, &fault)
	if err != nil {
		return nil, nil, err
	}
	if hold, ok := root.child("hold", "hold"); ok {
		in.readHoldJSON(hold)
	}
	resp := in.takeStatus()
	if r, ok := root.child("response", "response"); ok {
		resp.read(r)
	}
	if fault != nil {
		return nil, nil, fault
	}
	in.finish()
	return in, resp, nil
}

// instructObject notes later faults of reading the object in fault.
func instructObject(body []byte, fault *error) (object, error) {
	v, ok := decodeJSON(body)
	if !ok {
		return object{}, Reason("failed to parse application/grip-instruct content as JSON")
	}
	switch v := v.(type) {
	case map[string]any:
		return object{name: "instruct", fields: v, err: fault}, nil
	case []any:
		return object{}, Reason("instruct must be an object")
	}
	return object{}, Reason("failed to parse application/grip-instruct content as JSON")
}

func (in *Instruct) readHoldJSON(hold object) {
	switch mode := hold.text("mode"); {
	case mode == "stream":
		in.Hold = Stream
	case mode == "response" || !hold.has("mode"):
		in.Hold = Response
	default:
		hold.fail("hold 'mode' must be set to either 'response' or 'stream'")
	}
	in.addChannels(hold)
	if hold.has("timeout") {
		in.Timeout = max(hold.seconds("timeout", 0), minTimeout)
	}
	if k, ok := hold.child("keep-alive", "keep-alive"); ok {
		in.KeepAlive.readJSON(k)
	}
	for name, value := range hold.stringMap("meta") {
		in.setMeta(name, value)
	}
}

func (in *Instruct) addChannels(hold object) {
	if !hold.has("channels") {
		hold.missing("channels")
	}
	for _, v := range hold.list("channels") {
		o := asObject(v, "channel", hold.err)
		c := Channel{Name: o.required("name"), PrevID: o.text("prev-id"),
			Filters: nilIfEmpty(o.texts("filters", "value"))}
		if err := c.check(); err != nil {
			hold.fail("%s", err)
		}
		in.Channels = append(in.Channels, c)
	}
}

// seconds reads a time in whole seconds, which cannot be negative.
func (o object) seconds(key string, def time.Duration) time.Duration {
	if !o.has(key) {
		return def
	}
	n := o.number(key, 0)
	if n < 0 {
		o.invalid(key)
	}
	return time.Duration(n) * time.Second
}

func (k *KeepAlive) readJSON(o object) {
	if k.Data == nil {
		k.Interval = true
	}
	if data := o.content("content-bin", "content"); data != nil {
		k.Data = data
	}
	k.Timeout = max(o.seconds("timeout", DefaultTimeout), minKeepAlive)
}

// takeStatus moves what the Grip-* headers said about the response.
func (in *Instruct) takeStatus() *JSONResponse {
	r := &JSONResponse{Status: in.Status, Reason: in.Reason}
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	in.Status, in.Reason, in.Expose = 0, "", nil
	return r
}

func (r *JSONResponse) read(o object) {
	if o.has("code") {
		r.Status, r.Reason = o.number("code", 0), ""
		if r.Status < 0 || r.Status > maxStatus {
			o.invalid("code")
		}
	}
	if reason := o.text("reason"); reason != "" {
		r.Reason = reason
	}
	r.Header = o.headers()
	r.Body = o.content("body-bin", "body")
}
