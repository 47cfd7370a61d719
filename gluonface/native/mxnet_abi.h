// What an operator needs of libmxnet.so 1.9.1 beyond the headers that its wheel brings.
//
// MXNet is retired: 1.9.1 is its last release, so what is written here of its insides stays true.
// Should a build of it differ after all, the check that runs before a compiled library is kept
// fails, and networks are computed without it.
#pragma once

#include <mxnet/ndarray.h>
#include <mxnet/op_attr_types.h>
#include <nnvm/op.h>
#include <nnvm/op_attr_types.h>

#include <cstring>
#include <string>
#include <vector>

namespace mxnet {

// Declared in a header that the wheel leaves out. An array's memory and how it lies there.
class MKLDNNMemory {
 public:
  std::shared_ptr<mkldnn::memory> mem;
  mkldnn::memory::desc desc;
  size_t size;
};

// From the same header: what oneDNN has been asked to do and has not done yet.
class MKLDNNStream {
 public:
  static MKLDNNStream* Get();
  void Submit(bool cleanup = true);
};

namespace op {
// From another: the gradient of an operator for inference, which MXNet wants to exist.
std::vector<nnvm::NodeEntry> MakeZeroGradNodes(const nnvm::ObjectPtr& node,
                                               const std::vector<nnvm::NodeEntry>& gradients);
}  // namespace op

}  // namespace mxnet

// These are taken from libmxnet.so and not compiled here. See `set`.
#define GLUONFACE_FROM_LIBRARY(T) \
  extern template nnvm::Op& nnvm::Op::set_attr<T>(const std::string&, const T&, int)
GLUONFACE_FROM_LIBRARY(bool);
GLUONFACE_FROM_LIBRARY(nnvm::FListInputNames);
GLUONFACE_FROM_LIBRARY(nnvm::FInferType);
GLUONFACE_FROM_LIBRARY(nnvm::FInplaceOption);
GLUONFACE_FROM_LIBRARY(nnvm::FGradient);
GLUONFACE_FROM_LIBRARY(mxnet::FInferShape);
GLUONFACE_FROM_LIBRARY(mxnet::FInferStorageType);
GLUONFACE_FROM_LIBRARY(mxnet::FComputeEx);
#undef GLUONFACE_FROM_LIBRARY

namespace gluonface {

using mxnet::NDArray;
using mxnet::OpContext;
using mxnet::OpReqType;
using mxnet::ShapeVector;
using nnvm::NodeAttrs;
using Arrays = std::vector<NDArray>;
using Requests = std::vector<OpReqType>;

// NDArray's chunk of memory is private; naming it as a template's argument is allowed.
template <auto Member>
struct Chunk {
  friend float* memory_of(const NDArray& array) {
    return static_cast<float*>((array.*Member)->shandle.dptr);
  }
  friend const mkldnn::memory::desc* layout_of(const NDArray& array) {
    return (array.*Member)->mkl_mem_ ? &(array.*Member)->mkl_mem_->desc : nullptr;
  }
};
float* memory_of(const NDArray& array);
const mkldnn::memory::desc* layout_of(const NDArray& array);
template struct Chunk<&NDArray::ptr_>;

// libmxnet.so was compiled when std::function still took pointers by value (GCC before 5) where
// it takes references to them now, so a function with such arguments is called in another way.
// Functions that take references only need nothing.
template <typename R, typename... A>
std::function<R(A...)> by_value(R (*function)(A...)) {
  struct Parts {
    void* functor[2];
    void* manager;
    R (*invoke)(const std::_Any_data&, A...);
  };
  std::function<R(A...)> result(function);
  static_assert(sizeof(Parts) == sizeof(result), "std::function has the parts of libstdc++");
  R (*invoke)(const std::_Any_data&, A...) = [](const std::_Any_data& data, A... args) -> R {
    return (*data._M_access<R (*)(A...)>())(args...);
  };
  std::memcpy(reinterpret_cast<char*>(&result) + offsetof(Parts, invoke), &invoke, sizeof(invoke));
  return result;
}

// For the same reason set_attr, which makes such a function, has to be the library's own.
// volatile, so that no compiler writes out the header's instead.
template <typename T>
void set(nnvm::Op* op, const char* attribute, const T& value) {
  nnvm::Op& (nnvm::Op::*volatile call)(const std::string&, const T&, int) =
      &nnvm::Op::set_attr<T>;
  (op->*call)(attribute, value, 10);
}

// The gradient is computed by operator `name` from the outputs' gradients and, if it wants them, the
// inputs. Made by libmxnet.so, mxnet::op::ElemwiseGradUseIn and ElemwiseGradUseNone:
// std::unordered_map, a part of the node that has to be made, has another size today.
#define GLUONFACE_FGRADIENT \
  "_ZNSt8functionIFSt6vectorIN4nnvm9NodeEntryESaIS2_EERKSt10shared_ptrINS1_4NodeEERKS4_EE"
extern "C" void gluonface_gradient_of_inputs(nnvm::FGradient* self, const char* name) asm(
    GLUONFACE_FGRADIENT "C1IN5mxnet2op17ElemwiseGradUseInEvEET_");
extern "C" void gluonface_gradient_alone(nnvm::FGradient* self, const char* name) asm(
    GLUONFACE_FGRADIENT "C1IN5mxnet2op19ElemwiseGradUseNoneEvEET_");
#undef GLUONFACE_FGRADIENT

inline nnvm::FGradient gradient_by(const char* name, bool of_inputs) {
  alignas(nnvm::FGradient) char place[sizeof(nnvm::FGradient)];
  auto* made = reinterpret_cast<nnvm::FGradient*>(place);
  of_inputs ? gluonface_gradient_of_inputs(made, name) : gluonface_gradient_alone(made, name);
  nnvm::FGradient result(*made);
  made->~function();
  return result;
}

}  // namespace gluonface
