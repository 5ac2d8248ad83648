// Package helloworld is helloworld.proto for Go, written by hand: the protobuf runtime of Debian's
// packages needs only the struct tags, so no compiler for .proto files has to be installed.
package helloworld

import (
	"context"

	"github.com/golang/protobuf/proto"
	"google.golang.org/grpc"
)

// Method is the full name of the only method.
const Method = "/helloworld.Greeter/SayHello"

type HelloRequest struct {
	Name string `protobuf:"bytes,1,opt,name=name,proto3" json:"name,omitempty"`
}

func (m *HelloRequest) Reset()         { *m = HelloRequest{} }
func (m *HelloRequest) String() string { return proto.CompactTextString(m) }
func (*HelloRequest) ProtoMessage()    {}

type HelloReply struct {
	Message string `protobuf:"bytes,1,opt,name=message,proto3" json:"message,omitempty"`
}

func (m *HelloReply) Reset()         { *m = HelloReply{} }
func (m *HelloReply) String() string { return proto.CompactTextString(m) }
func (*HelloReply) ProtoMessage()    {}

// GreeterServer is what a function implements.
type GreeterServer interface {
	SayHello(ctx context.Context, in *HelloRequest) (*HelloReply, error)
}

// Register makes the server answer calls with impl.
func Register(server *grpc.Server, impl GreeterServer) {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "helloworld.Greeter",
		HandlerType: (*GreeterServer)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "SayHello", Handler: handle}},
		Metadata:    "helloworld.proto",
	}, impl)
}

func handle(impl interface{}, ctx context.Context, decode func(interface{}) error, intercept grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(HelloRequest)
	if err := decode(in); err != nil {
		return nil, err
	}
	if intercept == nil {
		return impl.(GreeterServer).SayHello(ctx, in)
	}
	info := &grpc.UnaryServerInfo{Server: impl, FullMethod: Method}
	return intercept(ctx, in, info, func(ctx context.Context, req interface{}) (interface{}, error) {
		return impl.(GreeterServer).SayHello(ctx, req.(*HelloRequest))
	})
}
