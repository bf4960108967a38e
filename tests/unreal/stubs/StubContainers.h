// Containers and smart pointers, over those of the standard library.
#pragma once

#include "StubBase.h"

#include <algorithm>
#include <initializer_list>
#include <memory>

template <class T> class TArray {
public:
    TArray() = default;
    TArray(std::initializer_list<T> items) : items_(items) {}
    int32 Num() const { return static_cast<int32>(items_.size()); }
    const T *GetData() const { return items_.data(); }
    bool IsEmpty() const { return items_.empty(); }
    const T &operator[](int32 at) const { return items_.at(static_cast<std::size_t>(at)); }
    T &operator[](int32 at) { return items_.at(static_cast<std::size_t>(at)); }
    int32 Add(const T &item)
    {
        items_.push_back(item);
        return Num() - 1;
    }
    T &AddDefaulted_GetRef() { return items_.emplace_back(); }
    void Append(const T *first, int32 count) { items_.insert(items_.end(), first, first + count); }
    void Reset() { items_.clear(); }
    template <class P> int32 RemoveAll(P predicate)
    {
        const int32 before = Num();
        items_.erase(std::remove_if(items_.begin(), items_.end(), predicate), items_.end());
        return before - Num();
    }
    template <class P> T *FindByPredicate(P predicate)
    {
        const auto found = std::find_if(items_.begin(), items_.end(), predicate);
        return found == items_.end() ? nullptr : &*found;
    }
    auto begin() { return items_.begin(); }
    auto end() { return items_.end(); }
    auto begin() const { return items_.begin(); }
    auto end() const { return items_.end(); }

private:
    std::vector<T> items_;
};

template <class T> class TArrayView {
public:
    TArrayView(T *first, int32 count) : first_(first), count_(count) { check(count >= 0); }
    TArrayView(const TArray<std::remove_const_t<T>> &of) : TArrayView(of.GetData(), of.Num()) {}
    int32 Num() const { return count_; }
    T *GetData() const { return first_; }
    T &operator[](int32 at) const
    {
        check(at >= 0 && at < count_);
        return first_[at];
    }

private:
    T *first_;
    int32 count_;
};
template <class T> using TConstArrayView = TArrayView<const T>;

template <class T> class TSharedPtr {
public:
    TSharedPtr() = default;
    explicit TSharedPtr(std::shared_ptr<T> of) : of_(std::move(of)) {}
    bool IsValid() const { return of_ != nullptr; }
    T *Get() const { return of_.get(); }
    T *operator->() const
    {
        check(IsValid());
        return of_.get();
    }
    void Reset() { of_.reset(); }
    const std::shared_ptr<T> &Stub() const { return of_; }

private:
    std::shared_ptr<T> of_;
};

template <class T, class... A> TSharedPtr<T> MakeShared(A &&...arguments)
{
    return TSharedPtr<T>(std::make_shared<T>(std::forward<A>(arguments)...));
}

template <class T> class TWeakPtr {
public:
    TWeakPtr() = default;
    TWeakPtr(const TSharedPtr<T> &of) : of_(of.Stub()) {}
    bool IsValid() const { return !of_.expired(); }
    void Reset() { of_.reset(); }
    TSharedPtr<T> Pin() const { return TSharedPtr<T>(of_.lock()); }

private:
    std::weak_ptr<T> of_;
};
