// Draw what an exported SSD detects on an image: detect model.onnx image.jpg drawn.jpg
//
// It needs ONNX Runtime and OpenCV. The model is one that tools/export.py wrote.

#include <onnxruntime_cxx_api.h>

#include <iomanip>
#include <iostream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

constexpr float kScore = 0.3f;

// The names of the classes: a JSON list of strings in the file's metadata, empty where it has none.
// Characters beyond ASCII stay as JSON writes them, \u and four digits.
std::vector<std::string> class_names(const Ort::Session& session) {
  Ort::AllocatorWithDefaultOptions allocator;
  auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated("classes", allocator);
  std::vector<std::string> names;
  if (!text) return names;
  bool inside = false;
  for (const char* next = text.get(); *next; ++next) {
    if (*next == '"') {
      inside = !inside;
      if (inside) names.emplace_back();
    } else if (inside) {
      if (*next == '\\' && (next[1] == '"' || next[1] == '\\')) ++next;
      names.back() += *next;
    }
  }
  return names;
}

void detect(const char* model, const char* source, const char* target) {
  cv::Mat image = cv::imread(source);
  if (image.empty()) throw std::runtime_error(std::string(source) + " is no image OpenCV reads");

  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "detect");
  Ort::Session session(env, model, Ort::SessionOptions{});
  const std::vector<std::string> names = class_names(session);
  // (batch, 3, height, width): an SSD has one size
  std::vector<int64_t> shape = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
  shape[0] = 1;
  const int height = static_cast<int>(shape[2]), width = static_cast<int>(shape[3]);

  cv::Mat resized;
  cv::resize(image, resized, cv::Size(width, height));
  std::vector<float> pixels(3 * height * width);
  for (int channel = 0; channel < 3; ++channel)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        pixels[(channel * height + y) * width + x] = resized.at<cv::Vec3b>(y, x)[channel];

  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Ort::Value input = Ort::Value::CreateTensor<float>(memory, pixels.data(), pixels.size(),
                                                     shape.data(), shape.size());
  const char* inputs[] = {"images"};
  const char* outputs[] = {"detections"};
  auto results = session.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);

  // rows of: image, class, score, left, top, right, bottom
  const float* row = results[0].GetTensorData<float>();
  const int64_t rows = results[0].GetTensorTypeAndShapeInfo().GetShape()[0];
  const float scale_x = static_cast<float>(image.cols) / width;
  const float scale_y = static_cast<float>(image.rows) / height;
  for (int64_t i = 0; i < rows; ++i, row += 7) {
    if (row[2] <= kScore) continue;
    const cv::Point top_left(cvRound(row[3] * scale_x), cvRound(row[4] * scale_y));
    const cv::Point bottom_right(cvRound(row[5] * scale_x), cvRound(row[6] * scale_y));
    std::ostringstream text;
    const auto label = static_cast<size_t>(row[1]);
    text << (label < names.size() ? names[label] : std::to_string(label)) << ": " << std::fixed
         << std::setprecision(2) << row[2];
    cv::rectangle(image, top_left, bottom_right, cv::Scalar(0, 200, 255));
    cv::putText(image, text.str(), top_left - cv::Point(0, 2), cv::FONT_HERSHEY_SIMPLEX, 0.4,
                cv::Scalar(0, 200, 255));
    std::cout << text.str() << ' ' << top_left.x << ' ' << top_left.y << ' ' << bottom_right.x << ' '
              << bottom_right.y << '\n';
  }
  if (!cv::imwrite(target, image)) throw std::runtime_error(std::string("cannot write ") + target);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: detect model.onnx image.jpg drawn.jpg\n";
    return 1;
  }
  try {
    detect(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {  // ONNX Runtime's and OpenCV's are such, too
    std::cerr << error.what() << '\n';
    return 1;
  }
}
