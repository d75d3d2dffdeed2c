package fastlytest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"

	"golang.org/x/crypto/nacl/box"
)

// send sends one request to a Server and decodes a JSON answer.
func send(s *Server, method, target, kind, body string, header ...string) (*httptest.ResponseRecorder, object) {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Fastly-Key", DefaultToken)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	var o object
	_ = json.Unmarshal(w.Body.Bytes(), &o)
	return w, o
}

// seal gets a client key and encrypts a secret to it.
func seal(s *Server, key, secret string) (sealed, clientKey string) {
	_, o := send(s, http.MethodPost, "/resources/stores/secret/client-key", "", "", "Fastly-Key", key)
	clientKey = o["public_key"].(string)
	raw, _ := base64.StdEncoding.DecodeString(clientKey)
	b, err := box.SealAnonymous(nil, []byte(secret), (*[32]byte)(raw), nil)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b), clientKey
}

// encrypt replaces the recorded secret, which only Fastly could decrypt, by one
// encrypted to a key of this Server.
func (st *stage) encrypt(s *Server) error {
	var body object
	if err := json.Unmarshal(st.body, &body); err != nil {
		return err
	}
	body["secret"], body["client_key"] = seal(s, "test", "secretum servare")
	var err error
	st.body, err = json.Marshal(body)
	return err
}
