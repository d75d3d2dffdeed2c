package token

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"
)

func TestNewKeyVector(t *testing.T) {
	id, value, err := NewKey(bytes.NewReader(make([]byte, 32)))
	if err != nil || value != "de8a847bff8c343d69b853a215e6ee775ef2ef96" || id != "35c07875" {
		t.Errorf("got %q, %q, %v", id, value, err)
	}
}

func TestNewKeyWorks(t *testing.T) {
	id, value, err := NewKey(rand.Reader)
	if err != nil || id != KeyID(value) {
		t.Fatalf("got %q, %q, %v", id, value, err)
	}
	tok, err := Mint(MintOptions{KeyID: id, Secret: []byte(value), Read: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewVerifier(Keys{id: []byte(value)}).Verify(t.Context(), tok, now); err != nil {
		t.Error(err)
	}
}

func TestNewKeyNeedsAllItsRandomBytes(t *testing.T) {
	if id, value, err := NewKey(bytes.NewReader(make([]byte, 31))); id != "" || value != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %q, %v", id, value, err)
	}
}
