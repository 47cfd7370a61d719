// Registers our operators: what MXNet 1.9.1 computes slowly on a CPU, because it has it neither
// vectorised nor in the layouts of oneDNN.

#include "activations.h"
#include "depthwise.h"
#include "products.h"

namespace gluonface {
namespace {

// The output is as the map. What the second input has to be, each operator says.
bool known_map(ShapeVector* in, ShapeVector* out) {
  if (!mxnet::shape_is_known((*in)[0])) (*in)[0] = (*out)[0];
  if (!mxnet::shape_is_known((*in)[0])) return false;
  CHECK_GE((*in)[0].ndim(), 2) << "expected a map (N, C, ...)";
  (*out)[0] = (*in)[0];
  return true;
}

bool same_shape(const NodeAttrs&, ShapeVector* in, ShapeVector* out) {
  return known_map(in, out);
}

bool prelu_shape(const NodeAttrs&, ShapeVector* in, ShapeVector* out) {
  if (!known_map(in, out)) return false;
  const int64_t channels = (*in)[0][1];
  auto& slopes = (*in)[1];
  if (!mxnet::shape_is_known(slopes)) slopes = mxnet::TShape({channels});
  CHECK(slopes.ndim() == 1 && (slopes[0] == channels || slopes[0] == 1))
      << "slopes of shape " << slopes << " for a map of shape " << (*in)[0];
  return true;
}

bool gate_shape(const NodeAttrs&, ShapeVector* in, ShapeVector* out) {
  if (!known_map(in, out) || !mxnet::shape_is_known((*in)[1])) return false;
  const auto &map = (*in)[0], &factors = (*in)[1];
  mxnet::TShape per_channel(map), per_pixel(map);
  for (int axis = 2; axis < map.ndim(); ++axis) per_channel[axis] = 1;
  per_pixel[1] = 1;
  CHECK(factors == per_channel || factors == per_pixel)
      << "factors of shape " << factors << " for a map of shape " << map;
  return true;
}

bool product_shape(const NodeAttrs&, ShapeVector* in, ShapeVector* out) {
  if (!mxnet::shape_is_known((*in)[0])) (*in)[0] = (*in)[1];
  if (!known_map(in, out)) return false;
  if (!mxnet::shape_is_known((*in)[1])) (*in)[1] = (*in)[0];
  CHECK((*in)[0] == (*in)[1]) << "maps of shapes " << (*in)[0] << " and " << (*in)[1];
  return true;
}

bool mean_shape(const NodeAttrs&, ShapeVector* in, ShapeVector* out) {
  if (!mxnet::shape_is_known((*in)[0])) return false;
  mxnet::TShape result((*in)[0]);
  CHECK_GE(result.ndim(), 2) << "expected a map (N, C, ...)";
  for (int axis = 2; axis < result.ndim(); ++axis) result[axis] = 1;
  (*out)[0] = result;
  return true;
}

template <int Stride>
bool depthwise_shape(const NodeAttrs&, ShapeVector* in, ShapeVector* out) {
  for (const auto& shape : *in) {
    if (!mxnet::shape_is_known(shape)) return false;
  }
  const auto &map = (*in)[0], &weight = (*in)[1];
  CHECK(map.ndim() == 4 && weight.ndim() == 3 && weight[2] == map[1] && weight[0] == weight[1] &&
        (weight[0] == 3 || weight[0] == 5))
      << "weight of shape " << weight << " for a map of shape " << map
      << ": expected (3, 3, C) or (5, 5, C)";
  for (int i = 2; i < 5; ++i) {
    CHECK((*in)[i] == mxnet::TShape({map[1]})) << "expected one number per channel";
  }
  const mxnet::TShape result({map[0], map[1], (map[2] - 1) / Stride + 1, (map[3] - 1) / Stride + 1});
  (*out)[0] = result;
  return true;
}

bool float32_only(const NodeAttrs&, std::vector<int>* in, std::vector<int>* out) {
  for (auto* types : {in, out}) {
    for (int& type : *types) {
      CHECK(type == -1 || type == mshadow::kFloat32) << "expected float32";
      type = mshadow::kFloat32;
    }
  }
  return true;
}

bool dense(const NodeAttrs&, int, mxnet::DispatchMode* mode, std::vector<int>* in,
           std::vector<int>* out) {
  for (auto* kinds : {in, out}) kinds->assign(kinds->size(), mxnet::kDefaultStorage);
  *mode = mxnet::DispatchMode::kFComputeEx;
  return true;
}

std::vector<std::pair<int, int>> over_the_first(const NodeAttrs&) { return {{0, 0}}; }

using Compute = void (*)(const NodeAttrs&, const OpContext&, const Arrays&, const Requests&,
                         const Arrays&);
using InferShape = bool (*)(const NodeAttrs&, ShapeVector*, ShapeVector*);

nnvm::Op* add_operator(const std::string& name, int inputs, int outputs, Compute compute,
                       bool in_place = true) {
  auto* op = &dmlc::Registry<nnvm::Op>::Get()->__REGISTER_OR_GET__(name);
  op->set_num_inputs(inputs).set_num_outputs(outputs);
  set<bool>(op, "TIsMKLDNN", true);  // or MXNet would give every input in its own layout
  set<mxnet::FInferStorageType>(op, "FInferStorageType", by_value(dense));
  if (in_place) set<nnvm::FInplaceOption>(op, "FInplaceOption", over_the_first);
  set<mxnet::FComputeEx>(op, "FComputeEx<cpu>", compute);
  return op;
}

nnvm::Op* add_forward(const char* name, const std::vector<std::string>& inputs, InferShape shape,
                      Compute compute, bool in_place = true) {
  auto* op = add_operator(name, inputs.size(), 1, compute, in_place);
  for (const auto& input : inputs) op->add_argument(input, "NDArray-or-Symbol", input);
  set<nnvm::FListInputNames>(op, "FListInputNames", [inputs](const NodeAttrs&) { return inputs; });
  set<mxnet::FInferShape>(op, "FInferShape", by_value(shape));
  set<nnvm::FInferType>(op, "FInferType", by_value(float32_only));
  return op;
}

// The name of the gradient has to outlive all else.
void add_pair(const char* name, const char* backward, const std::vector<std::string>& inputs,
              InferShape shape, Compute compute, Compute gradient, bool in_place = true,
              bool of_inputs = true) {
  const int count = inputs.size();
  auto* op = add_forward(name, inputs, shape, compute, in_place);
  set<nnvm::FGradient>(op, "FGradient", gradient_by(backward, of_inputs));
  auto* back = add_operator(backward, of_inputs ? count + 1 : 1, count, gradient, in_place);
  set<bool>(back, "TIsBackward", true);
}

void add_for_inference(const char* name, InferShape shape, Compute compute) {
  const std::vector<std::string> inputs{"data", "weight", "bias", "before", "after"};
  auto* op = add_forward(name, inputs, shape, compute, false);
  set<nnvm::FGradient>(op, "FGradient", mxnet::op::MakeZeroGradNodes);
}

}  // namespace

// What Python calls once the library is loaded.
extern "C" void gluonface_register() {
  add_pair("_gluonface_prelu", "_backward_gluonface_prelu", {"data", "slopes"}, prelu_shape, prelu,
           prelu_gradient);
  add_pair("_gluonface_gate", "_backward_gluonface_gate", {"data", "factors"}, gate_shape, gate,
           gate_gradient);
  add_pair("_gluonface_product", "_backward_gluonface_product", {"data", "other"}, product_shape,
           product, product_gradient);
  add_pair("_gluonface_relu6", "_backward_gluonface_relu6", {"data"}, same_shape, relu6,
           relu6_gradient);
  add_pair("_gluonface_mean", "_backward_gluonface_mean", {"data"}, mean_shape, mean,
           mean_gradient, false);
  add_pair("_gluonface_blocks", "_backward_gluonface_blocks", {"data"}, same_shape, to_blocks,
           in_planes, true, false);
  add_pair("_gluonface_gradient_blocks", "_backward_gluonface_gradient_blocks", {"data"},
           same_shape, as_it_is, to_blocks, true, false);
  // By stride: an operator's settings are in a std::unordered_map, whose size has changed.
  add_for_inference("_gluonface_depthwise1", depthwise_shape<1>, depthwise<1>);
  add_for_inference("_gluonface_depthwise2", depthwise_shape<2>, depthwise<2>);
}

}  // namespace gluonface
